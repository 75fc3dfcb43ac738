"""What a command reports of malformed documents: the first of each kind by name, the others as a count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import typer

from featstore.commands.console import err, escape, tell
from featstore.documents import Problem
from featstore.errors import count_of

_SHOWN = {True: 10, False: 3}  # of a kind, by whether it costs something


class Notices:
    """Prints what is reported of documents, and what was not printed at the end.

    Args:
        all_of: the kind of which every one is printed.
    """

    def __init__(self, all_of: str) -> None:
        self._all_of = all_of
        self._seen: Counter[str] = Counter()
        self._hidden: Counter[str] = Counter()

    def tell(self, id_: str, problem: Problem) -> None:
        """Print that something is wrong with a document, unless there were many of its kind."""
        self._seen[problem.kind] += 1
        if problem.kind != self._all_of and self._seen[problem.kind] > _SHOWN[problem.lost]:
            self._hidden[problem.kind] += 1
            return
        word = "skipped" if problem.lost else "note"
        place = f"{problem.place}: " if problem.place else ""
        document = f"document '{id_}': " if id_ else ""
        err.print(f"[bold]{word}[/] {escape(f'{place}{document}{problem.why}')}", soft_wrap=True)

    def finish(self, bad: int, lost: int, problems: Mapping[str, int]) -> None:
        """Print the counts, and end the command if anything is not in the output.

        Args:
            bad: documents that were left out.
            lost: what was left out of the others.
            problems: all that is wrong in those, counted by its kind.

        Raises:
            typer.Exit: with 3, if a document or a part of one was left out.
        """
        for kind, count in self._hidden.items():
            tell(f"not shown: {count:,} more of the kind '{kind}'")
        for kind, count in problems.items():
            tell(f"{kind}: {count:,}")
        if bad:
            tell(f"bad, and not in the output: {count_of(bad, 'document')}")
        if bad or lost:
            raise typer.Exit(3)
