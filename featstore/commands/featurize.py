"""``cli featurize``: encode the sentences that a store lacks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from featstore.commands.console import (
    duration,
    print_json,
    print_table,
    progress_bar,
    show_log,
    size_of,
    tell,
)
from featstore.commands.options import (
    AsJson,
    Backend,
    Commands,
    Context,
    Corpus,
    Dtype,
    EncoderDevice,
    EncoderPrecision,
    EngineName,
    Indicators,
    Instances,
    ShardOf,
    Store,
    check_store_to_fill,
    encoder_specs,
)
from featstore.errors import count_of

if TYPE_CHECKING:
    from featstore.encoders import EncoderOptions
    from featstore.featurize.encode import Featurized
    from featstore.featurize.forecast import Forecast
    from featstore.records import Corpus as LoadedCorpus
    from featstore.records import Instance, KeyedSentences
    from featstore.scale import Engine

FAILED_SHOWN = 10


def featurize(
    encoders: Annotated[
        str,
        typer.Option(
            help="Encoders, separated by commas. NAME is the one that comes with featstore, NAME:PATH is one of your "
            "own, such as glove:FILE, cse:DIR, elmo:DIR or bert:DIR. Of bert the last layer is stored; "
            "bert\\[2,4,6]:DIR stores these layers and bert\\[all]:DIR all of them."
        ),
    ] = "glove,cse,elmo",
    corpus: Corpus = "sample",
    instances: Instances = None,
    store: Store = "features",
    backend: Backend = "hdf5",
    dtype: Dtype = "float16",
    context: Context = "tagged",
    indicators: Indicators = "tags",
    unlabelled: Annotated[
        str,
        typer.Option(
            help="Documents with mentions, in a file, a folder or at an address, whose pairs are encoded besides: "
            "those that `cli train --unlabelled` learns from. They are paired and marked as the corpus is.",
        ),
    ] = "",
    precision: EncoderPrecision = "float32",
    device: EncoderDevice = "cpu",
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Number of processes, with one thread each. By default a probe of the speed decides whether one for "
            "each core pays; with --engine ray there is one for each core of the cluster.",
        ),
    ] = None,
    engine: EngineName = "local",
    shard: ShardOf = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Forecast time and space, and write nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Encode the sentences of a corpus that the store does not hold yet."""
    from featstore.corpora import load_corpus
    from featstore.encoders import EncoderOptions, check_specs
    from featstore.featurize.encode import distinct_sentences
    from featstore.scale import Shard, open_engine

    show_log()
    specs = encoder_specs(encoders)
    check_store_to_fill(store)
    options = EncoderOptions(precision, device)
    check_specs(specs, options)
    loaded = load_corpus(corpus, indicators=indicators, context=context, instances=instances)
    more = _unlabelled(unlabelled, loaded) if unlabelled else ()
    sentences: KeyedSentences = distinct_sentences((*loaded.instances, *more))
    if shard is not None:
        sentences = Shard.read(shard).sentences(sentences)
    target = _Target(store, dtype, backend, options)
    if dry_run:
        forecasts = [target.forecast(sentences, spec, len(loaded.instances) + len(more)) for spec in specs]
        print_json(forecasts) if as_json else _print_forecast(forecasts)
        return
    with open_engine(engine, workers) as opened:
        results = [target.fill(sentences, spec, workers, opened) for spec in specs]
    print_json(results) if as_json else _print_featurized(results, store)
    if any(result.failed for result in results):
        _tell_failed(results, sentences)
        raise typer.Exit(3)


def _unlabelled(path: str, corpus: LoadedCorpus) -> tuple[Instance, ...]:
    """Return the pairs without labels, and say how many there are."""
    from featstore.corpora.unlabelled import read_unlabelled

    found = read_unlabelled(path, corpus)
    tell(f"{path}: {count_of(len(found.instances), 'pair')} without labels in {count_of(found.documents, 'document')}")
    return found.instances


@dataclass(frozen=True, slots=True)
class _Target:
    """Where the vectors go, and how they are computed."""

    store: str
    dtype: str
    backend: str
    options: EncoderOptions

    def forecast(self, sentences: KeyedSentences, spec: str, instances: int) -> Forecast:
        """Return what encoding would cost."""
        from featstore.featurize.forecast import forecast

        return forecast(
            sentences,
            spec,
            root=self.store,
            dtype=self.dtype,
            backend=self.backend,
            instances=instances,
            options=self.options,
        )

    def fill(self, sentences: KeyedSentences, spec: str, workers: int | None, engine: Engine | None) -> Featurized:
        """Encode what the store lacks, with a bar."""
        from featstore.featurize.encode import featurize as run

        with progress_bar(spec, "sentences") as progress:
            return run(
                sentences,
                spec,
                root=self.store,
                dtype=self.dtype,
                backend=self.backend,
                workers=workers,
                engine=engine,
                progress=progress,
                options=self.options,
            )


def _tell_failed(results: list[Featurized], sentences: KeyedSentences) -> None:
    """Name the sentences that could not be encoded, the first of many; --json has all their keys."""
    for result in results:
        for key in result.failed[:FAILED_SHOWN]:
            start = " ".join(sentences[key])[:60]
            tell(f"{result.encoder}: failed: {count_of(len(sentences[key]), 'token')}, '{start}'")
        if len(result.failed) > FAILED_SHOWN:
            tell(f"{result.encoder}: failed: {len(result.failed) - FAILED_SHOWN:,} more")
    tell("these sentences are missing from the store; running the command again tries them again.")


def _print_forecast(results: list[Forecast]) -> None:
    print_table(
        "Forecast (nothing was written)",
        ["encoder", "instances", "distinct sentences", "tokens", "to encode", "space", "free", "time"],
        [
            [
                f.encoder,
                f"{f.instances:,}",
                f"{f.sentences:,} ({f.sentences / max(1, f.instances):.0%})",
                f"{f.tokens:,}",
                f"{f.missing_sentences:,}",
                size_of(f.bytes),
                size_of(f.free_bytes) if f.free_bytes is not None else "-",
                duration(f.seconds),
            ]
            for f in results
        ],
    )


def _print_featurized(results: list[Featurized], store: str) -> None:
    print_table(
        f"Stored in {store}",
        ["encoder", "sentences", "were there", "encoded", "failed", "workers", "tokens/s", "time"],
        [
            [
                f.encoder,
                f"{f.sentences:,}",
                f"{f.stored:,}",
                f"{f.encoded:,}",
                f"{len(f.failed):,}",
                str(f.workers),
                f"{f.tokens / f.seconds:,.0f}" if f.encoded else "-",
                duration(f.seconds),
            ]
            for f in results
        ],
    )


COMMANDS: Commands = {"featurize": featurize}
