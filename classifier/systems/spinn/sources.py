"""Where the trees of instances come from: a table of trees, or their shape alone.

In: what ``--trees`` says, and instances. Out: one tree for each instance, over the words that SPINN reads. The two
entities of a pair are one leaf each, and so is every other mention that a table masks.

A table of trees is tab-separated, with a header that names at least the columns ``pmid``, ``chemical``, ``gene`` (the
ids of a document and of the two entities of a pair) and ``tree``. A tree is a bracketing such as ``( ( bc6entc inhibits
) bc6entg )``: lower-case words, ``bc6entc`` for the chemical, ``bc6entg`` for the gene, ``bc6other`` for other
mentions, as in the data of Lim and Kang (2018).
"""

from __future__ import annotations

import lzma
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from classifier.systems.spinn.trees import Tree, TreeError, balanced, parse_tree, right_branching
from featstore.corpora.lines import line_error, read_lines
from featstore.errors import DataError, UsageError, count_of
from featstore.files import check_input, clear_errors
from featstore.records import Instance

HEAD, TAIL, OTHER = "<head>", "<tail>", "<other>"
SHAPES: Mapping[str, Callable[[Sequence[str]], Tree]] = {"right": right_branching, "balanced": balanced}
_MASKS = {"bc6entc": HEAD, "bc6entg": TAIL, "bc6other": OTHER}
_COLUMNS = ("pmid", "chemical", "gene", "tree")
# Of ChemProt's 41,281 instances and their trees, the least alike share 0.42 of their longer words (0.5 with blinded
# mentions); of pairs that do not belong together, one in a hundred shares 0.4 or more.
_LEAST_SHARED = 0.4
_ENOUGH = 4  # longer words that it takes to judge
_LONGER = 4  # letters

_Ids = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class TreeChoice:
    """What ``--trees`` says.

    Attributes:
        shape: one of ``SHAPES``, or None for the trees of the table.
        table: the table of trees, or None for trees over the words of the instances.
    """

    shape: str | None
    table: Path | None


def parse_choice(text: str) -> TreeChoice:
    """Read ``FILE``, ``right``, ``balanced``, ``right:FILE`` or ``balanced:FILE``.

    Raises:
        UsageError: nothing was given.
    """
    shape, colon, name = text.partition(":")
    if shape in SHAPES and bool(colon) == bool(name):
        return TreeChoice(shape, Path(name) if name else None)
    if not text or (not name and colon):
        raise UsageError(
            f"SPINN reads a tree for each instance, but --trees is '{text}'. Give a table of trees (--trees FILE), or "
            "let the length of the sentence decide (--trees right or --trees balanced)."
        )
    return TreeChoice(None, Path(text))


class TreeSource:
    """The trees of instances, as ``--trees`` chooses them.

    Raises:
        UsageError: as :func:`parse_choice`.
        MissingFileError, DataError: the table is missing, or is not one.
    """

    def __init__(self, text: str) -> None:
        choice = parse_choice(text)
        self._shape = SHAPES[choice.shape] if choice.shape else None
        self._table = _Table(choice.table) if choice.table else None

    def trees(self, instances: Iterable[Instance]) -> list[Tree]:
        """Return the tree of each instance.

        Raises:
            DataError: an instance has no tree, its tree is broken, or it is the tree of another sentence.
        """
        if self._table is None:
            assert self._shape is not None
            return [self._shape(leaf_words(instance)) for instance in instances]
        trees = self._table.trees(list(instances))
        return [self._shape(tree.words) for tree in trees] if self._shape else trees


def leaf_words(instance: Instance) -> list[str]:
    """Return the leaves that an instance has without a table: its words in lower case, each entity as one leaf.

    Tags are left out. Of two entities of which one lies in the other, the words that both have belong to the first.
    """
    words: list[str] = []
    for place, row in enumerate(instance.layout):
        mask = next((m for span, m in ((instance.head, HEAD), (instance.tail, TAIL)) if span[0] <= place < span[1]), "")
        if mask:
            words += [mask] if mask not in words else []
        elif row >= 0 and not (instance.offsets and instance.offsets[row] == (-1, -1)):
            words.append(instance.tokens[row].lower())
    return words


class _Table:
    """A table of trees; a tree is parsed when it is asked for."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows: dict[_Ids, tuple[int, str]] = {}
        lines = _lines(path)
        header = lines[0].split("\t")
        if missing := [column for column in _COLUMNS if column not in header]:
            raise line_error(
                path, 1, f"the header {header[:8]} lacks {', '.join(missing)}; a table of trees has all of {_COLUMNS}."
            )
        places = [header.index(column) for column in _COLUMNS]
        for number, line in enumerate(lines[1:], start=2):
            fields = line.split("\t")
            if len(fields) != len(header):
                raise line_error(path, number, f"{count_of(len(fields), 'column')}; the header has {len(header)}.")
            pmid, chemical, gene, tree = (fields[place] for place in places)
            if (pmid, chemical, gene) in self._rows:
                raise line_error(path, number, f"the pair {chemical}, {gene} of document {pmid} has a tree already.")
            self._rows[pmid, chemical, gene] = number, tree

    def trees(self, instances: Sequence[Instance]) -> list[Tree]:
        pairs = [_pair(instance) for instance in instances]
        absent = [instance for instance, pair in zip(instances, pairs, strict=True) if pair not in self._rows]
        if absent:
            raise DataError(
                f"{self._path} has {len(self._rows):,} trees, but none for {len(absent):,} of {len(instances):,} "
                f"instances, the first of them '{absent[0].id}'. Trees are found by the ids of the document and of "
                "both entities. Add them to the table, or train with --trees right or --trees balanced."
            )
        return [self._tree(*self._rows[pair], instance) for instance, pair in zip(instances, pairs, strict=True)]

    def _tree(self, number: int, text: str, instance: Instance) -> Tree:
        try:
            tree = parse_tree(text)
        except TreeError as error:
            raise line_error(
                self._path, number, f"the tree of '{instance.id}' is not binary: {error}. Correct the line."
            ) from error
        if _shared(tree.words, instance.tokens) < _LEAST_SHARED:
            raise line_error(
                self._path,
                number,
                f"the tree of '{instance.id}' has the words '{' '.join(tree.words[:12])} ..', but the instance "
                f"'{' '.join(instance.tokens[:12])} ..'. It belongs to another sentence; was the table made for this "
                "corpus?",
            )
        return Tree(tuple(_MASKS.get(word, word) for word in tree.words), tree.transitions)


def _pair(instance: Instance) -> _Ids:
    """Return what a table knows an instance by; a corpus without such ids has empty ones."""
    source = instance.source
    return source.get("pmid", ""), source.get("head", ""), source.get("tail", "")


def _lines(path: Path) -> list[str]:
    if path.suffix != ".xz":
        return read_lines(path)
    check_input(path)
    try:
        with clear_errors(path, "read"), lzma.open(path, "rb") as file:
            lines = file.read().decode("utf-8").split("\n")
    except (lzma.LZMAError, EOFError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as text that xz packed: {error}.") from error
    return [line.removesuffix("\r") for line in (lines if lines[-1] else lines[:-1])] or [""]


def _shared(leaves: Sequence[str], tokens: Sequence[str]) -> float:
    """Return the share of distinct longer words that occur on the other side too, on the side where it is larger.

    Both sides are held against characters, because the tokenisers differ. A side may have more sentences, or masked
    mentions, that the other does not have. A side with few longer words is taken to fit.
    """
    lower = [token.lower() for token in tokens]
    shares = []
    for ours, other in ((leaves, "".join(lower)), (lower, "".join(leaves))):
        longer = {word for word in ours if len(word) >= _LONGER and word.isalpha()}
        shares.append(sum(word in other for word in longer) / len(longer) if len(longer) >= _ENOUGH else 1.0)
    return max(shares)
