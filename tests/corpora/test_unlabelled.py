"""Pairs without labels: made as the corpus's are, and never from text that the corpus holds out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from featstore.corpora import load_corpus
from featstore.corpora.unlabelled import read_unlabelled
from featstore.errors import DataError, MissingFileError
from featstore.records import Corpus

SENTENCES = {
    "train": "Here aspirin binds TP53 in the blood of all mice that had lost both copies of a receptor.",
    "dev": "When old rats were fed without any salt for nine weeks, aspirin raised TP53 again.",
    "test": "After the second dose had been given to each of the patients, aspirin lowered TP53 by half.",
}
TYPES = {"aspirin": "CHEMICAL", "ethanol": "Drug", "TP53": "GENE", "IL6": "Protein", "cancer": "DISEASE"}


def written(path: Path, *texts: str, **more: object) -> Path:
    """Documents whose mentions are the words of TYPES."""
    lines = []
    for number, text in enumerate(texts):
        entities = [
            {"id": f"T{n}", "type": type_, "start": text.index(word), "end": text.index(word) + len(word)}
            for n, (word, type_) in enumerate(TYPES.items())
            if word in text
        ]
        lines.append(json.dumps({"id": f"d{number}", "text": text, "entities": entities, **more}))
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(params=["tags", "replace", "blind"])
def corpus(tmp_path: Path, request: pytest.FixtureRequest) -> Corpus:
    """A corpus of three documents, one a part, each with a chemical and a gene in one sentence."""
    relation = [{"head": "T0", "tail": "T2", "label": "binds"}]
    (tmp_path / "own").mkdir()
    for part, text in SENTENCES.items():
        written(tmp_path / "own" / f"{part}.jsonl", text, relations=relation)
        made = json.loads((tmp_path / "own" / f"{part}.jsonl").read_text()) | {"id": part}
        (tmp_path / "own" / f"{part}.jsonl").write_text(json.dumps(made))
    return load_corpus(f"documents:{tmp_path / 'own'}", indicators=request.param, context="sentence")


def mentions(corpus: Corpus, path: Path, held_out: Sequence[int] = ()) -> list[tuple[str, str, str]]:
    found = read_unlabelled(path, corpus, [corpus.instances[place] for place in held_out])
    return [(i.source["document"], i.source["head"], i.source["tail"]) for i in found.instances]


def test_the_pairs_are_those_of_the_corpus_marked_as_there(corpus: Corpus, tmp_path: Path) -> None:
    path = written(
        tmp_path / "more.jsonl",
        "TP53 and IL6 react to ethanol. It may be cancer.",
        "IL6 rises. It is due to aspirin.",
        "So aspirin binds IL6 and TP53 in cancer.",
    )
    # The chemical is the head, whatever the file calls it; no pair crosses a sentence.
    expected = [("d0", "T1", "T2"), ("d0", "T1", "T3"), ("d2", "T0", "T2"), ("d2", "T0", "T3")]
    assert mentions(corpus, path) == expected
    found = read_unlabelled(path, corpus)
    assert found.documents == 3
    assert not found.held_out
    own = corpus.instances[0]
    for instance in found.instances:
        assert instance.label is None
        assert (instance.head_type, instance.tail_type) == (own.head_type, own.tail_type)
        assert set(instance.tags) == set(own.tags)
    # Without nouns in place of the names the encoders read the sentence as it is; the head's tags are checked above.
    nouns = "So chemical binds gene" if corpus.indicators == "blind" else "So aspirin binds IL6"
    assert " ".join(found.instances[3].tokens[:4]) == nouns


def test_text_that_is_held_out_is_not_learnt_from(corpus: Corpus, tmp_path: Path) -> None:
    by_part = {instance.split: place for place, instance in enumerate(corpus.instances)}
    nearly = SENTENCES["test"].replace("TP53", "IL6").replace("half", "two thirds")
    path = written(tmp_path / "more.jsonl", SENTENCES["train"], nearly, "Now ethanol binds IL6.")
    assert [pair[0] for pair in mentions(corpus, path)] == ["d0", "d1", "d2"]
    assert [pair[0] for pair in mentions(corpus, path, [by_part["train"]])] == ["d1", "d2"]
    left = read_unlabelled(path, corpus, [corpus.instances[by_part["test"]]])
    assert [instance.source["document"] for instance in left.instances] == ["d0", "d2"]
    assert left.held_out == 1
    assert left.digest != read_unlabelled(path, corpus).digest
    other = tmp_path / "ids.jsonl"
    other.write_text(path.read_text().replace('"d2"', '"test"'))
    assert "test" not in {pair[0] for pair in mentions(corpus, other)}, "a document of the test part"


def test_nothing_to_learn_is_an_error_that_says_why(corpus: Corpus, tmp_path: Path) -> None:
    path = written(tmp_path / "none.jsonl", "It may be cancer.", "IL6 rises.")
    with pytest.raises(
        DataError, match=r"in 2 documents, of the pairs of CHEMICAL and GENE .* none.*`cli entities tag`"
    ):
        read_unlabelled(path, corpus)
    path = written(tmp_path / "same.jsonl", SENTENCES["dev"])
    with pytest.raises(DataError, match=r"in 1 document, .* all 1 are of text that the corpus holds out"):
        read_unlabelled(path, corpus, corpus.instances)
    with pytest.raises(MissingFileError):
        read_unlabelled(tmp_path / "nowhere.jsonl", corpus)


def test_a_folder_of_files_is_read_and_a_document_counts_once(corpus: Corpus, tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    written(tmp_path / "more" / "a.jsonl", "So aspirin binds IL6.")
    written(tmp_path / "more" / "b.jsonl", "So aspirin binds IL6.", "Now ethanol binds TP53.")
    found = read_unlabelled(tmp_path / "more", corpus)
    assert [instance.source["document"] for instance in found.instances] == ["d0", "d1"]
    assert len(found.problems) == 1


def test_what_is_left_out_is_told(corpus: Corpus, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = written(tmp_path / "more.jsonl", SENTENCES["dev"], "So aspirin binds IL6.")
    path.write_text(path.read_text() + "".join(f'{{"id": "x{n}", "text": 3}}\n' for n in range(12)))
    read_unlabelled(path, corpus, corpus.instances)
    told = caplog.messages
    assert len(told) == 12
    assert "x0" in told[0]
    assert "2 more of" in told[10]
    assert "1 pair of" in told[11]
    assert "dev or test part" in told[11]


def test_malformed_places_are_problems(corpus: Corpus, tmp_path: Path) -> None:
    path = written(tmp_path / "more.jsonl", "So aspirin binds IL6.")
    path.write_text(path.read_text() + '{"id": "x", "text": 3}\n')
    found = read_unlabelled(path, corpus)
    assert len(found.instances) == 1
    assert len(found.problems) == 1
    assert "x" in found.problems[0].text
