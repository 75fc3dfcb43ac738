"""The fuzzer's account of the documents beside a damaged one: it finds what is lost, and what a report excuses."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fuzz_neighbours import damage_one, documents_changed, instances_changed
from fuzz_samples import Sample, document, documents

from featstore.documents import Document, Problem
from featstore.formats import BadDocument
from featstore.records import Instance

FOUND = [document(number) for number in range(3)]
PUBTATOR = next(sample for sample in documents() if sample.name == "document pubtator")


@pytest.mark.parametrize(
    ("found", "changed"),
    [
        (FOUND, []),
        (FOUND[1:], []),  # the damaged document itself
        (FOUND[:2], ["id2"]),
        ([FOUND[0], replace(FOUND[1], entities=()), FOUND[2]], ["id1"]),
        ([*FOUND[:2], BadDocument("id2", "f", "why")], []),
        ([*FOUND[:2], BadDocument("", "f, line 16", "why")], []),  # a line of it, as one was added before
        ([*FOUND[:2], BadDocument("", "f, line 3", "why")], ["id2"]),
        ([*FOUND[:1], BadDocument("", "f", "broken. What comes after this place could not be read.")], []),
        ([replace(FOUND[0], problems=(Problem("an id2 is there", "f", "kind"),)), FOUND[1]], []),
    ],
)
def test_what_is_lost_beside_a_damaged_document(found: list[Document | BadDocument], changed: list[str]) -> None:
    _, spoilt = damage_one(PUBTATOR, PUBTATOR.regions[0], lambda line: line + b"\n")
    assert documents_changed(FOUND, found, spoilt, PUBTATOR) == changed


def test_instances_of_other_parts_must_stay() -> None:
    made = Instance(
        id="c:1:T1:T2",
        tokens=("a", "b"),
        layout=(0, 1),
        tags=(),
        head=(0, 1),
        tail=(1, 2),
        head_type="x",
        tail_type="y",
        label="NONE",
        split="train",
    )
    other = replace(made, id="c:2:T1:T2", split="test")
    sample = Sample("corpus c", {"train": b"x\n"}, regions=(replace(PUBTATOR.regions[0], file="train", owner="train"),))
    _, spoilt = damage_one(sample, sample.regions[0], lambda line: line)
    assert instances_changed([made, other], [other], spoilt) == []
    assert instances_changed([made, other], [made], spoilt) == ["c:2:T1:T2"]
