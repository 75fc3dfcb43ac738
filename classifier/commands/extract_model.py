"""The options of ``cli extract`` that say what extracts: the model, its workers, and where mentions come from.

In: the command line. Out: frozen values; each has the methods that turn it into what the library takes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from classifier.commands.options import RUNS, Encoders, Fold, Runs, Threads, VectorStore, fold_dir
from featstore.addresses import address_of
from featstore.commands.options import EncoderDevice, EngineName, encoder_specs, given, one_of, precisions
from featstore.errors import UsageError
from featstore.files import check_input, check_readable_folder

if TYPE_CHECKING:
    from classifier.extract.extractor import Extractor


def _sentences() -> tuple[str, ...]:
    from classifier.entities.windows import SENTENCES

    return SENTENCES


def _modes() -> tuple[str, ...]:
    from classifier.entities.windows import MODES

    return MODES


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """Which model extracts, and how its encoders compute."""

    model: Annotated[
        Path | None,
        typer.Option(
            "--model",
            help="The model: a folder that cli bundle made, its address (s3://..), or the name of one that comes with "
            "featstore (cli models ls). By default it is chemprot, unless a run is named.",
        ),
    ] = None
    run: Annotated[
        str | None,
        typer.Option(
            "--run",
            envvar="FEATSTORE_RUN",
            help="Use the model of a run: its folder or address, or its name below --runs.",
        ),
    ] = None
    runs: Runs = RUNS
    fold: Fold = None
    encoders: Encoders = ""
    store: VectorStore = None
    threads: Threads = 1
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Number of processes that extract, each with a model of its own. By default it is this process alone; "
            "with --engine ray there is one for each core of the cluster.",
        ),
    ] = None
    engine: EngineName = "local"
    device: EncoderDevice = "cpu"
    precision: Annotated[
        str | None,
        typer.Option(
            "--precision",
            callback=one_of(precisions),
            metavar="float32|bfloat16|int8",
            help="Precision of the matrix products of a model of --system bert. By default it is that of its training. "
            "A head's encoders always have the precision that it was trained on.",
        ),
    ] = None

    def check(self, called: typer.Context) -> None:
        """Make sure that one model is named, not two.

        Raises:
            UsageError: a model and a run are named.
        """
        if self.model and (clashing := given(called, ("run", "fold"))):
            raise UsageError(f"--model {self.model} is a whole model; leave {' and '.join(clashing)} out.")

    def loader(self, called: typer.Context, mentions: MentionOptions, written: str) -> Callable[[], Extractor]:
        """Return what loads the model that is named, by default the one that comes with featstore.

        Args:
            called: the command line.
            mentions: where the mentions come from.
            written: the format of the output.
        """
        from classifier.extract.extractor import Extractor
        from classifier.extract.models import model_folder

        of_run = self.model is None and (self.run is not None or bool(given(called, ("runs", "fold"))))
        named = self.run if of_run else self.model
        if named is not None and (address := address_of(named)):
            load = partial(Extractor.load, address, fold=self.fold)  # each worker fetches it
        elif of_run:
            load = partial(Extractor.load, fold_dir(self.run, self.runs, self.fold, self.store))
        else:
            load = partial(Extractor.load, model_folder(self.model))
        return partial(
            load,
            encoders=encoder_specs(self.encoders) if self.encoders else [],
            store=self.store,
            threads=self.threads,
            device=self.device,
            precision=self.precision,
            tag=mentions.tag,
            tagger=mentions.tagger,
            sentences=mentions.sentences_for(written),
        )


@dataclass(frozen=True, slots=True)
class MentionOptions:
    """Where the mentions come from, and what their types mean."""

    tag: Annotated[
        str,
        typer.Option(
            "--tag",
            callback=one_of(_modes),
            help="Find the mentions of documents that have none (missing), of all documents, beside those that are "
            "there (always), or of no document (never).",
            rich_help_panel="Mentions",
        ),
    ] = "missing"
    tagger: Annotated[
        Path | None,
        typer.Option(
            "--tagger",
            help="Folder of a tagger. By default it is the one that comes with featstore.",
            rich_help_panel="Mentions",
        ),
    ] = None
    sentences: Annotated[
        str | None,
        typer.Option(
            "--sentences",
            callback=one_of(_sentences),
            metavar="all|likely",
            help="Sentences in which the mentions of plain text are looked for: all, or those that are likely to hold "
            "a pair of the model's types, which is faster. By default it is all where the output has room for mentions "
            "(jsonl, html, BioC, PubTator), and likely elsewhere.",
            rich_help_panel="Mentions",
        ),
    ] = None
    types: Annotated[
        str,
        typer.Option(
            "--types",
            help="What is meant by types whose names are not known, as NAME=TYPE,..: TOXIN=CHEMICAL. "
            "Synonyms such as Drug and Protein are known.",
            rich_help_panel="Mentions",
        ),
    ] = ""

    def sentences_for(self, written: str) -> str:
        """Return which sentences are read for an output of the format ``written``.

        By default it is every sentence where the output has room for mentions, so that nobody loses mentions unaware.
        """
        from classifier.entities.windows import ALL, LIKELY
        from featstore.formats import FORMATS

        if self.sentences is not None:
            return self.sentences
        return ALL if written in FORMATS and FORMATS[written].mentions else LIKELY

    def check(self) -> None:
        """Make sure that a tagger which is named is there; it is loaded only when a document needs it.

        One at an address is fetched, and so checked, with the model.

        Raises:
            UsageError, MissingFileError, ResourceError: it is not, or cannot be read.
        """
        if self.tagger is not None and not address_of(self.tagger):
            check_readable_folder(self.tagger)
            check_input(self.tagger)
