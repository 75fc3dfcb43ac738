"""What is reported of documents as they are read and written: those that are left out, and what is wrong in the others.

In: documents, bad documents, extractions. Out: a call of the caller's report for each thing that is to be reported, and
counts of them by kind.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from classifier.extract.journal import Figures
from featstore.documents import Document, Problem
from featstore.formats import BadDocument

# Called with a document's id and what is wrong with it.
Report = Callable[[str, Problem], None]

DOCUMENT_LEFT_OUT = "document left out"
COLLECTION_LEFT_OUT = "what a collection says of itself left out"


class Told:
    """What was told so far.

    Args:
        report: called with each thing; None: it is only counted.
        before: the figures of an interrupted extraction, which this one goes on with.
        collection: what the collection of the first document says of itself, if the output has it; None if not.
    """

    def __init__(self, report: Report | None, before: Figures, collection: Mapping[str, object] | None = None) -> None:
        self._report = report
        self._collection, self._told_of = collection, False
        self._problems = Counter(before.problems)
        self.bad, self.lost = before.bad, before.lost

    @property
    def problems(self) -> dict[str, int]:
        """How many there were of each kind, in documents that were written."""
        return dict(self._problems)

    def left_out(self, bad: BadDocument) -> None:
        """Tell that a document is not in the output."""
        self.bad += 1
        if self._report:
            self._report(bad.id, Problem(bad.why, bad.where, DOCUMENT_LEFT_OUT))

    def written(self, document: Document, problems: Iterable[Problem]) -> None:
        """Tell what is wrong with a document that is in the output."""
        for problem in problems:
            self._add(document.id, problem)
        if self._collection and not self._told_of and document.collection not in (None, self._collection):
            self._told_of = True
            why = (
                "its collection has another source, date, key or infons than that of the first document, whose the "
                "output has."
            )
            self._add(document.id, Problem(why, document.place, COLLECTION_LEFT_OUT))

    def note(self, document: Document, why: str, kind: str) -> None:
        """Tell something of a document that costs nothing, and is counted elsewhere."""
        if self._report:
            self._report(document.id, Problem(why, document.place, kind, lost=False))

    def _add(self, id_: str, problem: Problem) -> None:
        self._problems[problem.kind] += 1
        self.lost += problem.lost
        if self._report:
            self._report(id_, problem)


def refused(id_: str, problems: Iterable[Problem]) -> BadDocument | None:
    """Return the bad document that a document with problems is where none are allowed, or None if it has none."""
    first = next(iter(problems), None)
    return None if first is None else BadDocument(id_, first.place, first.why)
