"""What two corpora share."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featstore.corpora.duplicates import near_pairs
from featstore.corpora.overlap import check_overlap


def pairs(path: Path, rows: list[tuple[str, str]]) -> Path:
    """A JSONL corpus of sentences with their parts; the pair is the first and the last word."""
    lines = []
    for text, split in rows:
        head = {"start": 0, "end": text.index(" "), "type": "GENE"}
        tail = {"start": text.rindex(" ") + 1, "end": len(text), "type": "GENE"}
        lines.append(json.dumps({"text": text, "head": head, "tail": tail, "label": "NONE", "split": split}))
    path.write_text("\n".join(lines) + "\n")
    return path


BASE = "TNF is raised in the blood of all mice that have lost both copies of IL6"


def test_sentences_that_are_there_and_those_that_nearly_are(tmp_path: Path) -> None:
    one = pairs(
        tmp_path / "a.jsonl",
        [
            (BASE, "train"),
            (BASE.replace("all mice", "most mice"), "train"),
            ("TNF binds IL6", "train"),
            (BASE.upper(), "test"),
        ],
    )
    other = pairs(tmp_path / "b.jsonl", [(BASE, "test"), ("IL6 binds TNF", "dev")])
    found = {
        (p.part, p.other): (p.instances, p.exact, p.near) for p in check_overlap(f"jsonl:{one}", f"jsonl:{other}").parts
    }
    assert found == {
        ("train", "test"): (3, 1, 2),
        ("train", "dev"): (3, 0, 0),  # the same words in another order
        ("test", "test"): (1, 1, 1),
        ("test", "dev"): (1, 0, 0),
    }


def test_documents_are_known_by_their_ids(tmp_path: Path) -> None:
    def documents(name: str, *ids: str) -> str:
        entities = [
            {"id": "T1", "type": "GENE", "start": 0, "end": 3},
            {"id": "T2", "type": "GENE", "start": 10, "end": 13},
        ]
        relations = [{"head": "T1", "tail": "T2", "label": "binds"}]
        (tmp_path / name).mkdir()
        for part, id_ in zip(("train", "test"), ids, strict=True):
            made = {"id": id_, "text": "TNF binds IL6.", "entities": entities, "relations": relations}
            (tmp_path / name / f"{part}.jsonl").write_text(json.dumps(made))
        return f"documents:{tmp_path / name}"

    parts = check_overlap(documents("a", "7", "8"), documents("b", "9", "7")).parts
    assert {(p.part, p.other): p.documents for p in parts if p.documents} == {("train", "test"): ("7",)}


@pytest.mark.parametrize("threshold", [0.3, 0.6, 0.8, 1.0])
@given(
    st.lists(st.frozensets(st.sampled_from("abcdefgh"), max_size=6), max_size=8),
    st.lists(st.frozensets(st.sampled_from("abcdefgh"), max_size=6), max_size=8),
)
def test_near_pairs_are_those_that_comparing_all_finds(
    threshold: float, ones: list[frozenset[str]], others: list[frozenset[str]]
) -> None:
    wanted = {
        (i, j)
        for i, one in enumerate(ones)
        for j, other in enumerate(others)
        if one and other and len(one & other) / len(one | other) >= threshold
    }
    assert set(near_pairs(ones, others, threshold)) == wanted
