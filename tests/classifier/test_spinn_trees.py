"""Trees for SPINN: brackets that are no binary tree, tables that lack a tree or hold another one, and made trees."""

from __future__ import annotations

import gzip
import lzma
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifier.systems.spinn.sources import HEAD, OTHER, TAIL, TreeSource, leaf_words
from classifier.systems.spinn.trees import REDUCE, SHIFT, Tree, TreeError, balanced, parse_tree, right_branching
from featstore.errors import DataError, MissingFileError, UsageError
from featstore.records import Corpus, Instance

HEADER = "split\tpmid\tchemical\tgene\tfirst\tlabel\ttree"
TREE = "( ( bc6entc strongly ) ( inhibits ( bc6entg ( and bc6other ) ) ) )"
REAL = Path(__file__).resolve().parents[3] / "shared/data/spinn_trees/spinn_trees.tsv.xz"


def brackets(tree: Tree) -> str:
    """Write a tree as a table has it."""
    stack: list[str] = []
    words = iter(tree.words)
    for move in tree.transitions:
        if move == SHIFT:
            stack.append(next(words))
        else:
            right, left = stack.pop(), stack.pop()
            stack.append(f"( {left} {right} )")
    assert len(stack) == 1
    return stack[0]


def depth(tree: Tree) -> int:
    heights: list[int] = []
    for move in tree.transitions:
        heights.append(0 if move == SHIFT else 1 + max(heights.pop(), heights.pop()))
    return heights[0]


def instance(**changes: object) -> Instance:
    made = Instance(
        id="toy:7",
        tokens=("Aspirin", "strongly", "inhibits", "COX-2", "and", "others"),
        layout=(-1, 0, -2, 1, 2, 3, 4, 5),
        tags=("<chem>", "</chem>"),
        head=(1, 2),
        tail=(5, 6),
        head_type="chem",
        tail_type="gene",
        label="CPR:4",
        source={"pmid": "12", "head": "T1", "tail": "T2"},
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def table(folder: Path, *rows: Mapping[str, str]) -> Path:
    usual = dict.fromkeys(HEADER.split("\t"), "") | {"pmid": "12", "chemical": "T1", "gene": "T2", "tree": TREE}
    lines = [HEADER, *("\t".join((usual | dict(row)).values()) for row in rows or ({},))]
    (folder / "trees.tsv").write_text("\n".join(lines) + "\n")
    return folder / "trees.tsv"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("( a b", "1 bracket is never closed"),
        ("( ( a", "2 brackets are never closed"),
        ("( a b ) )", "a closing bracket too many after 2 words"),
        ("( a b c )", "holds 3 elements instead of 2"),
        ("( a )", "after word 1 holds 1 elements"),
        ("( )", "holds 0 elements"),
        ("a b", "2 trees instead of 1"),
        ("", "0 trees instead of 1"),
        ("(a b)", "2 trees instead of 1"),  # a bracket that touches a word is a part of the word
        (") a (", "a closing bracket too many after 0 words"),
    ],
)
def test_brackets_that_are_no_binary_tree(text: str, said: str) -> None:
    with pytest.raises(TreeError, match=said):
        parse_tree(text)


def test_a_long_broken_tree_is_shown_in_part() -> None:
    with pytest.raises(TreeError) as caught:
        parse_tree("( a " * 5000)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("shape", [right_branching, balanced])
@given(size=st.integers(1, 40))
def test_a_made_tree_is_written_and_read_again(shape: Callable[[list[str]], Tree], size: int) -> None:
    tree = shape([f"w{n}" for n in range(size)])
    again = parse_tree(brackets(tree))
    assert again.words == tree.words
    assert again.transitions.tolist() == tree.transitions.tolist()
    assert tree.transitions.tolist().count(REDUCE) == size - 1
    assert depth(tree) == (size - 1 if shape is right_branching else (size - 1).bit_length())


def test_a_thousand_words_deep() -> None:
    words = [f"w{n}" for n in range(1000)]
    text = " ".join(f"( {word}" for word in words[:-1]) + f" {words[-1]}" + " )" * 999
    tree = parse_tree(text)
    assert tree.transitions.tolist() == right_branching(words).transitions.tolist()
    with pytest.raises(TreeError):
        parse_tree(text + " )")
    with pytest.raises(TreeError, match="without words"):
        balanced([])


def test_entities_are_one_leaf_each() -> None:
    assert leaf_words(instance()) == [HEAD, "strongly", "inhibits", TAIL, "and", "others"]
    tagged = instance(offsets=((-1, -1), (0, 8), (9, 17), (18, 23), (24, 27), (28, 34)), layout=(0, 1, 2, 3, 4, 5))
    assert leaf_words(tagged) == [HEAD, "inhibits", "cox-2", "and", TAIL]
    nested = instance(layout=(0, 1, 2, 3, 4, 5), head=(1, 2), tail=(0, 4))
    assert leaf_words(nested) == [TAIL, HEAD, "and", "others"]


@pytest.mark.parametrize("pack", ["", ".gz", ".xz"])
def test_a_table_gives_the_tree_of_a_pair(tmp_path: Path, pack: str) -> None:
    path = table(tmp_path, {}, {"gene": "T3", "tree": "( a b )"})
    raw = path.read_bytes()
    path = path.with_name(f"trees.tsv{pack}")
    path.write_bytes(gzip.compress(raw) if pack == ".gz" else lzma.compress(raw) if pack == ".xz" else raw)
    (tree,) = TreeSource(str(path)).trees([instance()])
    assert tree.words == (HEAD, "strongly", "inhibits", TAIL, "and", OTHER)
    assert depth(tree) == 4
    (right,) = TreeSource(f"right:{path}").trees([instance()])
    assert right.words == tree.words
    assert depth(right) == 5
    (made,) = TreeSource("balanced").trees([instance()])
    assert (made.words[-1], depth(made)) == ("others", 3)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (
            {"tree": "( bc6entc strongly"},
            r"line 2: the tree of 'toy:7' is not binary: 1 bracket is never closed.*Correct",
        ),
        ({"tree": "( bc6entc strongly inhibits )"}, "holds 3 elements instead of 2"),
        (
            {"tree": "( patients ( were ( treated ( daily with ) ) ) )"},
            r"line 2: .*'patients were treated daily with \.\.'.*another sentence",
        ),
        ({"gene": "T9"}, r"1 trees, but none for 1 of 1 instances, the first of them 'toy:7'.*--trees right"),
    ],
)
def test_a_tree_that_does_not_fit_its_instance(tmp_path: Path, row: Mapping[str, str], said: str) -> None:
    source = TreeSource(str(table(tmp_path, row)))
    with pytest.raises(DataError, match=said):
        source.trees([instance()])


def test_what_is_no_table(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"line 3: the pair T1, T2 of document 12 has a tree already"):
        TreeSource(str(table(tmp_path, {}, {})))
    path = tmp_path / "other.tsv"
    for text, said in (
        ("a\tb\n1\t2\n", "line 1: .*lacks pmid"),
        (f"{HEADER}\n1\t2\n", "line 2: 2 columns"),
        ("", "empty"),
    ):
        path.write_text(text)
        with pytest.raises(DataError, match=said):
            TreeSource(str(path))
    packed = tmp_path / "other.tsv.xz"
    packed.write_bytes(lzma.compress(HEADER.encode())[:-9])
    with pytest.raises(DataError, match="cannot be read as text that xz packed"):
        TreeSource(str(packed))
    with pytest.raises(MissingFileError):
        TreeSource(str(tmp_path / "nowhere.tsv.xz"))
    for text in ("", "right:", "balanced:", ":"):
        with pytest.raises(UsageError, match=r"--trees is .*--trees FILE.*--trees right or --trees balanced"):
            TreeSource(text)


def test_an_instance_without_ids_has_no_tree_in_a_table(make_corpus: Callable[..., Corpus], tmp_path: Path) -> None:
    bare = [replace(each, source={}) for each in make_corpus().instances]
    with pytest.raises(DataError, match=f"none for {len(bare)} of {len(bare)}"):
        TreeSource(str(table(tmp_path))).trees(bare)


@pytest.mark.skipif(not REAL.exists(), reason="the trees of ChemProt are not here")
def test_every_tree_of_chemprot_is_binary() -> None:
    with lzma.open(REAL, "rt", encoding="utf-8") as file:
        rows = [line.rstrip("\n").split("\t") for line in file][1::20]
    for row in rows:
        tree = parse_tree(row[-1])
        assert brackets(tree) == row[-1]
    assert len(rows) > 2000
