"""The table of readers: what a spec means, and that a reader is one file and one line."""

from pathlib import Path

import pytest

from featstore.corpora import READERS, load_corpus
from featstore.errors import UsageError

TOY = """
from featstore.records import Corpus

def read(path, marking, instances):
    return Corpus("", "toy", (), ("0", path), (path,), marking.indicators, marking.context, "digest")
"""


def test_adding_a_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "toy_corpus.py").write_text(TOY)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(READERS, "toy", "toy_corpus:read")
    corpus = load_corpus("toy:some:where", context="sentence")
    assert (corpus.spec, corpus.positive, corpus.context) == ("toy:some:where", ("some:where",), "sentence")


def test_an_unknown_name() -> None:
    with pytest.raises(
        UsageError, match=r"corpus 'chemport' is unknown; choose from sample, .* Did you mean 'chemprot'\?"
    ):
        load_corpus("chemport:dir")


@pytest.mark.parametrize("choice", [{"indicators": "both"}, {"context": "tag"}])
def test_an_unknown_choice(choice: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="is unknown; choose from"):
        load_corpus("sample", **choice)
