"""What commands print: tables, facts and JSON on stdout; messages, log and progress bars on stderr."""

from __future__ import annotations

import dataclasses
import json
import logging
import re
import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from rich.console import Console
from rich.table import Table
from rich.text import Text

from featstore.addresses import spelled

if TYPE_CHECKING:
    from collections.abc import Callable


# Characters that a terminal acts on, or that no terminal can be given: control characters, marks that turn the
# direction of writing, other line breaks, and the bytes of a file's name that are no UTF-8.
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_IN_BLOCKS = re.compile(rf"(?!\n){_UNSEEN.pattern}")


class _Console(Console):
    """A console that shows control characters instead of sending them to the terminal.

    A broken pipe is left to ``main``, which ends quietly.
    """

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(_IN_BLOCKS.sub(_shown, text), **options)

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


# Where stdout is a file or a pipe there is no width to fit; rows must not be broken.
out = _Console(highlight=False, width=None if sys.stdout.isatty() else 200)
err = _Console(stderr=True, highlight=False)
SECONDS_BETWEEN_LINES = 5.0


def fail(error: Exception, message: str, code: int) -> NoReturn:
    """Print the message of an error, and the notes that were added to it, and leave."""
    err.print(f"[bold red]error:[/] {escape(message)}", soft_wrap=True)
    for note in getattr(error, "__notes__", ()):
        tell(note)
    sys.exit(code)


def tell(text: str) -> None:
    """Print one line on stderr."""
    err.print(escape(text), soft_wrap=True)


def command(*words: object) -> str:
    """Return a command that the user can type, its words quoted where a shell needs it."""
    return shlex.join(["cli", *map(str, words)])


def escape(text: str) -> str:
    """Return a text that may quote the input as the console shows it: as it is, and on one line."""
    from rich.markup import escape

    return escape(on_one_line(text))


def on_one_line(text: str) -> str:
    """Return a text with an escape for each line break and each character that a terminal would act on."""
    return _UNSEEN.sub(_shown, text)


def _shown(character: re.Match[str]) -> str:
    return character[0].encode("unicode_escape").decode("ascii")


def print_json(value: object) -> None:
    """Print ``value`` (dataclasses allowed) as JSON on stdout."""

    def plain(item: object) -> object:
        if dataclasses.is_dataclass(item) and not isinstance(item, type):
            return dataclasses.asdict(item)
        if isinstance(item, Path):
            return spelled(item)
        if isinstance(item, bytes):
            return item.hex()
        raise TypeError(f"{type(item).__name__} is not JSON")

    text = json.dumps(value, default=plain, indent=2, ensure_ascii=False)
    try:
        text.encode(sys.stdout.encoding)
    except UnicodeEncodeError:  # a terminal that is not UTF-8, or a path that is not
        text = json.dumps(value, default=plain, indent=2)
    sys.stdout.write(text + "\n")


def print_table(title: str, header: list[str], rows: list[list[str]]) -> None:
    """Print a table on stdout; the first column holds words, the others figures."""
    _print_title(title)
    table = Table()
    for i, name in enumerate(header):
        table.add_column(name, justify="left" if i == 0 else "right", overflow="fold")
    for row in rows:
        table.add_row(*map(escape, row))
    out.print(table)


def _print_title(title: str) -> None:
    # Not as the table's own title, which is broken at the table's width: a long path must stay whole.
    out.print(escape(title), soft_wrap=True, style="italic")


def print_facts(title: str, facts: dict[str, str]) -> None:
    """Print names and what they are on stdout."""
    _print_title(title)
    table = Table(show_header=False)
    for name, value in facts.items():
        table.add_row(escape(name), escape(value))
    out.print(table)


def show_log() -> None:
    """Print what the library logs on stderr, through the console, so that a progress bar stays whole."""

    class ToConsole(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            err.print(escape(self.format(record)), soft_wrap=True)

    library = logging.getLogger("featstore")
    library.handlers = [ToConsole()]
    library.propagate = False
    library.setLevel(logging.INFO)


@contextmanager
def progress_bar(what: str, unit: str) -> Iterator[Callable[[int, int | None], None]]:
    """Yield a callback (done, total): a bar with rate and ETA on a terminal, a line every few seconds elsewhere."""
    start = time.monotonic()
    if err.is_terminal:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=err) as bar:
            task = bar.add_task(escape(what), total=None, rate="")

            def on_terminal(done: int, total: int | None) -> None:
                rate = done / max(1e-9, time.monotonic() - start)
                bar.update(task, completed=done, total=total, rate=f"{rate:,.0f} {unit}/s")

            yield on_terminal
        return
    last = start

    def on_log(done: int, total: int | None) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < SECONDS_BETWEEN_LINES and done != total:
            return
        last = now
        rate = done / max(1e-9, now - start)
        left = "" if total is None or not done else f", {duration((total - done) / max(1e-9, rate))} left"
        of = "" if total is None else f"/{total:,}"
        err.print(f"{escape(what)}: {done:,}{of} {unit}, {rate:,.0f}/s{left}", soft_wrap=True)

    yield on_log


def duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def size_of(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
