"""The options of ``cli extract``, in groups: the model, the inputs, the mentions and the output.

In: the command line. Out: frozen values; each has the methods that turn it into what the library takes.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from featstore.commands.options import finite, one_of, read_shard
from featstore.errors import UsageError
from featstore.files import check_output_file
from featstore.streams import STDOUT

if TYPE_CHECKING:
    from classifier.extract.wanted import Wanted
    from featstore.formats import Reading
    from featstore.scale import Shard

TABLE = "table"


def _readable() -> tuple[str, ...]:
    from classifier.extract.files import PAIRS
    from featstore.formats.table import readable

    return (*readable(), PAIRS)


def _writable() -> tuple[str, ...]:
    from featstore.formats.table import writable

    return (TABLE, *writable())


@dataclass(frozen=True, slots=True)
class InputOptions:
    """How the inputs are read."""

    source_format: Annotated[
        str | None,
        typer.Option(
            "--format",
            callback=one_of(_readable),
            help="Format of the inputs: jsonl, bioc-xml, bioc-json, pubtator, brat, chemprot, pubmed-xml, medline, "
            "jats, csv, tsv, text or pairs. By default the format of each is recognised by its name and content.",
            rich_help_panel="Input",
        ),
    ] = None
    lines: Annotated[
        bool,
        typer.Option(
            "--lines", help="Take each line of plain text, not each file, as a document.", rich_help_panel="Input"
        ),
    ] = False
    text_column: Annotated[
        list[str] | None,
        typer.Option(
            "--text-column",
            help="Column of a table that holds the text; repeat it for several. By default it is text, sentence, or "
            "title and abstract.",
            rich_help_panel="Input",
        ),
    ] = None
    id_column: Annotated[
        str | None,
        typer.Option(
            "--id-column",
            help="Column of a table that holds the ids. By default it is id or pmid; without such a "
            "column the rows are numbered.",
            rich_help_panel="Input",
        ),
    ] = None
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            help="Leave out a document in which anything is malformed, instead of the malformed mention alone.",
            rich_help_panel="Input",
        ),
    ] = False

    @property
    def reading(self) -> Reading:
        """How documents are read where their format leaves a choice."""
        from featstore.formats import Reading

        return Reading(self.lines, tuple(self.text_column or ()), self.id_column)


@dataclass(frozen=True, slots=True)
class OutputOptions:
    """Which relations are written, how, and where."""

    target: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="Where the relations go. By default they go to stdout.", rich_help_panel="Output"
        ),
    ] = None
    target_format: Annotated[
        str | None,
        typer.Option(
            "--to",
            callback=one_of(_writable),
            help="Format of the output: table, jsonl, tsv, html, bioc-xml, bioc-json, pubtator or chemprot. By default "
            "the name of the output decides; on a terminal it is a table, and elsewhere jsonl.",
            rich_help_panel="Output",
        ),
    ] = None
    threshold: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            callback=finite,
            help="Keep relations of at least this probability. By default a relation is kept if it is more probable "
            "than no relation.",
            rich_help_panel="Output",
        ),
    ] = None
    top: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Keep only this many relations of each document, the most probable ones.",
            rich_help_panel="Output",
        ),
    ] = None
    max_distance: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Consider pairs with at most this many tokens between the mentions.",
            rich_help_panel="Output",
        ),
    ] = None
    explain: Annotated[
        bool, typer.Option("--explain", help="Add the attention on each token.", rich_help_panel="Output")
    ] = False
    shard: Annotated[
        str | None,
        typer.Option(
            "--shard",
            callback=read_shard,
            metavar="I/N",
            help="Extract only share I of N of the documents, into OUTPUT.I-of-N; cli join joins them.",
            rich_help_panel="Output",
        ),
    ] = None
    fresh: Annotated[
        bool,
        typer.Option(
            "--fresh",
            help="Begin anew instead of going on where an interrupted command stopped.",
            rich_help_panel="Output",
        ),
    ] = False
    as_json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="Print a summary as JSON on stdout; without -o print the relations, one document a line.",
            rich_help_panel="Output",
        ),
    ] = False

    @property
    def place(self) -> Path:
        """The output, which is stdout unless it was named."""
        return self.target or STDOUT

    @property
    def format(self) -> str:
        """The format of the output, from its name where it was not named."""
        from featstore.formats import FORMATS

        if self.target_format is not None:
            return self.target_format
        if self.target is not None:
            suffixes = {suffix: name for name, entry in FORMATS.items() if entry.writes for suffix in entry.suffixes}
            return suffixes.get(self.target.suffix.lower(), "jsonl")
        return TABLE if sys.stdout.isatty() and not self.as_json else "jsonl"

    @property
    def summarised(self) -> bool:
        """Whether a summary is printed as JSON; without -o stdout holds the relations themselves."""
        return self.as_json and self.target is not None

    def check(self) -> None:
        """Make sure that the output can be written.

        Raises:
            UsageError: two things would go to stdout, or the output cannot be a file.
            ResourceError: there is no permission to write it.
        """
        if self.as_json and self.target == STDOUT:
            raise UsageError("-o - and --json both write to stdout; leave one of them out.")
        check_output_file(self.place)

    @property
    def share(self) -> Shard | None:
        """The share of the documents that is wanted; None: all of them."""
        from featstore.scale import Shard

        return None if self.shard is None else Shard.read(self.shard)

    def wanted(self, types: str) -> Wanted:
        """Return which relations are wanted; ``types`` are the user's names of types, ``NAME=TYPE,..``."""
        from classifier.extract.wanted import Wanted
        from featstore.types import read_types

        return Wanted(self.threshold, self.top, self.max_distance, self.explain, tuple(read_types(types).items()))
