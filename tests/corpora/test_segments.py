"""segtok's rules in linear time: the same sentences, and work that grows as the text does, however hostile it is."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from segtok import segmenter

from featstore.corpora import segments
from featstore.corpora.segments import split_line
from featstore.corpora.text import split_sentences

# What segtok's rules act on: marks, brackets, quotes, abbreviations, dates, names, small words and blanks.
UNITS = [
    *[
        "n.d.",
        "et al.",
        "(2004)",
        "(",
        ")",
        "[",
        "]",
        ".",
        "!",
        "? ",
        ".) ",
        "'.",
        ". and ",
        " of ",
        "Dr.",
        "U.S.",
        "A.",
    ],
    *[
        "B. ",
        "Smith",
        "was ",
        "spp. ",
        "a",
        "Jan",
        "12. ",
        "1",
        "3.5",
        "  ",
        "\u00a0",
        "Mr. ",
        "i.e. ",
        "Fig. 2",
        "Gene",
    ],
    *[", ", "'", "\u2019 ", "the ", "and. ", "...", "by A.", "\t", "\u3002 ", "(A. ", "[B. ", "x" * 30, " ", " ", " "],
]


def split_by_segtok(line: str) -> list[str]:
    return [part for each in segmenter.split_single(line) if (part := each.strip())]


@given(st.lists(st.sampled_from(UNITS), max_size=40).map("".join))
@settings(max_examples=300, deadline=None)
def test_the_sentences_are_segtoks(line: str) -> None:
    spans = list(split_line(line))
    assert [line[start:end] for start, end in spans] == split_by_segtok(line)
    assert spans == sorted(spans)


def characters_looked_at(monkeypatch: pytest.MonkeyPatch, line: str) -> int:
    """How many characters segtok's patterns are given while a line is split."""
    looked = [0]

    def counted(search: Callable[..., Any]) -> Callable[..., Any]:
        def call(text: str) -> Any:
            looked[0] += len(text)
            return search(text)

        return call

    patterns = {
        name: SimpleNamespace(**{how: counted(getattr(value, how)) for how in ("match", "search", "finditer")})
        if hasattr(value, "finditer")
        else value
        for name, value in vars(segmenter).items()
    }
    with monkeypatch.context() as patch:
        patch.setattr(segments, "segtok", SimpleNamespace(**patterns))
        list(split_line(line))
    return looked[0]


@given(unit=st.lists(st.sampled_from(UNITS), min_size=1, max_size=4).map("".join))
@settings(max_examples=60, deadline=None)
def test_twice_the_text_is_at_most_about_twice_the_work(unit: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        short, double = (characters_looked_at(patch, unit * (count // len(unit))) for count in (2000, 4000))
    assert double <= 2.2 * short + 2000


@pytest.mark.parametrize("unit", ["n.d. ", "(", "(a. ", "). ", "a", "a. a", ". ", " ", ".)", "Jan. 1. "])
def test_a_text_of_60_kb_with_long_mentions_is_split(unit: str) -> None:
    """With work that grows as the square of the length, each of these takes minutes."""
    text = unit * (60_000 // len(unit)) + " Then it binds. It stops."
    spans = [(start, start + 30_000) for start in range(0, 29_000, 100)]
    assert split_sentences(text, spans).spans[-1][1] == len(text)
