"""What damage in one document does to the others of its file: nothing that the reader does not report.

In: a sample of ``fuzz_samples.py``, one line of one document in it damaged, and what was read of that. Out: the other
documents (of a corpus: the other instances) that are not what they were although no report names them. A report names a
document by its id, by one of its lines, or by the place from which nothing could be read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from fuzz_samples import Region, Sample

from featstore.documents import Document
from featstore.formats import BadDocument
from featstore.records import Instance

_ENDS = re.compile(rb"\r\n?|\n")
_LINE = re.compile(r"(?:line |:)(\d+)")


@dataclass(frozen=True, slots=True)
class Spoilt:
    """A line that was damaged.

    Attributes:
        region: where it was.
        more: how many lines more there are since.
    """

    region: Region
    more: int


def damage_one(sample: Sample, region: Region, damaged: Callable[[bytes], bytes]) -> tuple[dict[str, bytes], Spoilt]:
    """Return the files with damage in one line of one document, and what is known of that line."""
    content = sample.files[region.file]
    line = damaged(content[region.start : region.end])
    files = {**sample.files, region.file: content[: region.start] + line + content[region.end :]}
    return files, Spoilt(region, len(_ENDS.findall(line)))


def documents_changed(
    before: Iterable[Document], found: Sequence[Document | BadDocument], spoilt: Spoilt, sample: Sample
) -> list[str]:
    """Return the ids of the documents that were not damaged, are not as they were, and that no report names."""
    kept = {_content(one) for one in found if isinstance(one, Document)}
    said = [(one.id, one.where, one.why) for one in found if isinstance(one, BadDocument)]
    said += [(one.id, p.place, p.why) for one in found if isinstance(one, Document) for p in one.problems]
    lost = [one.id for one in before if one.id != spoilt.region.owner and _content(one) not in kept]
    return [id_ for id_ in lost if not any(_names(report, id_, spoilt, sample) for report in said)]


def instances_changed(before: Iterable[Instance], found: Iterable[Instance], spoilt: Spoilt) -> list[str]:
    """Return the ids of the instances of other documents, or other parts, that are not as they were."""
    kept = {(one.id, one.tokens, one.label) for one in found}
    others = (
        one
        for one in before
        if spoilt.region.owner not in (one.split, one.source.get("document"), one.id.split(":")[-1])
    )
    return [one.id for one in others if (one.id, one.tokens, one.label) not in kept]


def _content(one: Document) -> tuple[object, ...]:
    return one.id, one.text, one.entities, tuple((r.label, r.arguments) for r in one.relations)


def _names(report: tuple[str, str, str], id_: str, spoilt: Spoilt, sample: Sample) -> bool:
    """Tell whether a report (id, place, reason) is about a document."""
    named, place, why = report
    lines = {int(number) for number in _LINE.findall(f"{place} {why}")}
    return (
        id_ in (named, *re.findall(r"\w+", why)) or "comes after" in why or bool(lines & _lines_of(id_, spoilt, sample))
    )


def _lines_of(id_: str, spoilt: Spoilt, sample: Sample) -> set[int]:
    """Return the numbers that a document's lines have in the damaged files."""
    numbers = set()
    for region in sample.regions:
        if region.owner == id_:
            is_later = region.file == spoilt.region.file and region.start > spoilt.region.start
            number = 1 + sample.files[region.file].count(b"\n", 0, region.start)
            numbers.add(number + (spoilt.more if is_later else 0))
    return numbers
