"""``cli store``: the commands that check, mend, convert and copy feature sets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from featstore.commands.console import (
    command,
    escape,
    out,
    print_facts,
    print_json,
    print_table,
    progress_bar,
    tell,
)
from featstore.commands.options import (
    AsJson,
    Commands,
    Context,
    Corpus,
    DryRun,
    EncoderDevice,
    EncoderPrecision,
    Indicators,
    Instances,
    Store,
    backends,
    check_store,
    dtypes,
    one_of,
)
from featstore.commands.store import SetName, one_set, sets_named
from featstore.errors import count_of
from featstore.files import check_input, check_output_file

if TYPE_CHECKING:
    from featstore.stores.maintenance.bundle import Bundled
    from featstore.stores.maintenance.verify import Verification


def store_verify(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="Check only the sets of this encoder. By default all sets are checked."),
    ] = None,
    store: Store = "features",
    as_json: AsJson = False,
) -> None:
    """Compare every byte with its checksum; damage is reported by shard and sentence (exit code 5)."""
    from featstore.errors import DamagedStoreError
    from featstore.stores.maintenance.verify import verify

    results = []
    for each in sets_named(store, name):
        with progress_bar(Path(each.path).name, "shards") as progress:
            results.append(verify(each.path, progress=progress))
    if as_json:
        print_json(results)
    else:
        print_table(
            store,
            ["set", "shards", "sentences", "damaged", "leftovers"],
            [
                [Path(r.path).name, f"{r.shards:,}", f"{r.sentences:,}", str(len(r.damages)), str(len(r.leftovers))]
                for r in results
            ],
        )
        for damage in (damage for result in results for damage in result.damages):
            keys = ", ".join(key.hex() for key in damage.keys[:3]) + (", .." if len(damage.keys) > 3 else "")
            out.print(
                escape(f"{damage.shard}: {damage.what} ({count_of(len(damage.keys), 'sentence')}: {keys})"),
                soft_wrap=True,
            )
    if any(result.damages for result in results):
        raise DamagedStoreError(f"damage was found. {_repair_commands(store, results)}")


def _repair_commands(store: str, results: list[Verification]) -> str:
    """Say which commands mend the sets that are damaged."""
    damaged = [Path(result.path).name for result in results if result.damages]
    commands = [f"`{command('store', 'repair', name, '--store', store)}`" for name in damaged]
    return (
        f"{' and '.join(commands)} mends it; add --corpus, --context and --indicators as the sentences were featurized "
        "with, where they are not the defaults."
    )


def store_repair(
    name: SetName,
    corpus: Corpus = "sample",
    instances: Instances = None,
    context: Context = "tagged",
    indicators: Indicators = "tags",
    encoder: Annotated[
        str | None, typer.Option(help="The encoder that made the set, as NAME:PATH, if it did not come with featstore.")
    ] = None,
    precision: EncoderPrecision = "float32",
    device: EncoderDevice = "cpu",
    store: Store = "features",
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Set damaged shards aside and encode only their sentences again."""
    from featstore.corpora import load_corpus
    from featstore.encoders import EncoderOptions
    from featstore.featurize.encode import distinct_sentences
    from featstore.featurize.mend import mend

    chosen = one_set(store, name)
    check_store(store)
    loaded = load_corpus(corpus, indicators=indicators, context=context, instances=instances)
    sentences = distinct_sentences(loaded.instances)
    with progress_bar(chosen.meta.name, "sentences") as progress:
        options = EncoderOptions(precision, device)
        result = mend(
            chosen.path, sentences, encoder or chosen.meta.name, options=options, dry_run=dry_run, progress=progress
        )
    if as_json:
        print_json(result)
    else:
        facts = {
            "shards set aside": ", ".join(result.repair.set_aside) or "none",
            "sentences saved from them": f"{result.repair.saved:,}",
            "sentences lost": f"{len(result.repair.lost):,}",
            "encoded again": f"{result.encoded:,}",
            "failed, because memory was short": f"{result.failed:,}",
            "not in this corpus": f"{result.elsewhere:,}",
        }
        print_facts(f"{chosen.path}{' (nothing was done)' if dry_run else ''}", facts)
    if result.elsewhere or result.failed or result.repair.unreadable:
        tell("some sentences are still missing; featurize their corpora again to get them back.")
        raise typer.Exit(3)


def _methods() -> tuple[str, ...]:
    from featstore.stores.maintenance.views import METHODS

    return METHODS


def store_convert(
    name: SetName,
    backend: Annotated[
        str | None, typer.Option(callback=one_of(backends), metavar="hdf5|zarr", help="Backend of the new set.")
    ] = None,
    dtype: Annotated[
        str | None,
        typer.Option(
            callback=one_of(dtypes),
            metavar="float16|float32",
            help="Number type of the new set. A float32 set can become float16.",
        ),
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(help="Store to write the new set to. By default it is the store that holds the old one."),
    ] = None,
    store: Store = "features",
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Store a feature set again in another backend or number type, one shard at a time; the old set stays."""
    from featstore.stores.maintenance.rewrite import convert

    chosen = one_set(store, name, target=(backend, dtype))
    check_store(to or store)
    with progress_bar(chosen.meta.name, "shards") as progress:
        result = convert(chosen.path, to or store, backend=backend, dtype=dtype, dry_run=dry_run, progress=progress)
    if as_json:
        print_json(result)
    else:
        out.print(
            escape(
                f"{result.source} -> {result.target}: {count_of(result.sentences, 'sentence')}, "
                f"{count_of(result.shards, 'shard')}"
            ),
            soft_wrap=True,
        )


def store_view(
    name: SetName,
    dims: Annotated[int, typer.Option(min=1, help="Number of columns that each layer is reduced to.")],
    method: Annotated[
        str,
        typer.Option(
            callback=one_of(_methods),
            metavar="pca|random",
            help="pca: principal components. random: random directions.",
        ),
    ] = "pca",
    store: Store = "features",
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Store a feature set again in fewer columns, as NAME-pcaK; --features takes that name like any other."""
    from featstore.stores.maintenance.views import make_view

    chosen = one_set(store, name)
    check_store(store)
    with progress_bar(chosen.meta.name, "shards") as progress:
        result = make_view(chosen.path, store, dims, method=method, dry_run=dry_run, progress=progress)
    if as_json:
        print_json(result)
    else:
        out.print(
            escape(
                f"{result.name}: {result.columns[0]:,} -> {result.columns[1]:,} columns, {result.variance:.1%} of the "
                f"variance, {count_of(result.sentences, 'sentence')} ({result.target})"
            ),
            soft_wrap=True,
        )


def store_compact(name: SetName, store: Store = "features", dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Merge many small shards into few."""
    from featstore.stores.maintenance.rewrite import compact

    chosen = one_set(store, name)
    with progress_bar(chosen.meta.name, "shards") as progress:
        result = compact(chosen.path, dry_run=dry_run, progress=progress)
    if as_json:
        print_json(result)
    else:
        out.print(
            f"{count_of(result.merged, 'shard')} -> {result.made:,}; stored twice were "
            f"{count_of(result.doubles, 'sentence')}"
        )


def store_export(
    name: SetName,
    bundle: Annotated[Path, typer.Option("-o", "--output", help="Bundle file to write.")],
    store: Store = "features",
    as_json: AsJson = False,
) -> None:
    """Write a feature set to one file with a manifest and checksums: keys and vectors, no text."""
    from featstore.stores.maintenance.bundle import export_bundle

    check_output_file(bundle)
    chosen = one_set(store, name)
    with progress_bar(chosen.meta.name, "shards") as progress:
        result = export_bundle(chosen.path, bundle, progress=progress)
    _print_bundled(result, as_json)


def store_import(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="Bundle file that `cli store export` wrote.")],
    store: Store = "features",
    backend: Annotated[
        str | None,
        typer.Option(
            callback=one_of(backends),
            metavar="hdf5|zarr",
            help="Backend to store in. By default it is that of the bundle.",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check the whole bundle and store nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Store those vectors of a bundle that are not stored yet; every checksum is verified."""
    from featstore.stores.maintenance.bundle import import_bundle

    check_input(bundle)
    check_store(store)
    with progress_bar(bundle.name, "shards") as progress:
        result = import_bundle(bundle, store, backend=backend, dry_run=dry_run, progress=progress)
    _print_bundled(result, as_json)


def _print_bundled(result: Bundled, as_json: bool) -> None:
    if as_json:
        print_json(result)
    else:
        out.print(
            escape(
                f"{result.bundle} <-> {result.path}: {count_of(result.sentences, 'sentence')}, "
                f"{count_of(result.tokens, 'token')}"
            ),
            soft_wrap=True,
        )


COMMANDS: Commands = {
    "verify": store_verify,
    "repair": store_repair,
    "convert": store_convert,
    "view": store_view,
    "compact": store_compact,
    "export": store_export,
    "import": store_import,
}
