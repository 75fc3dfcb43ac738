"""``cli store``: what is in a store, and whether it fits."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from featstore.commands.console import (
    command,
    duration,
    escape,
    out,
    print_facts,
    print_json,
    print_table,
    size_of,
)
from featstore.commands.options import (
    AsJson,
    Commands,
    Context,
    Corpus,
    EncoderDevice,
    EncoderPrecision,
    Indicators,
    Instances,
    Store,
    encoder_specs,
)
from featstore.errors import UsageError, count_of

if TYPE_CHECKING:
    from featstore.stores.sets import SetInfo


SetName = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="Name of the set's encoder. NAME@ID picks one of several sets by the first digits of its identity; the "
        "name of its folder (see `cli store du`) picks one of several dtypes and backends.",
    ),
]


def sets_named(store: str, name: str | None) -> list[SetInfo]:
    """Return the feature sets of that name, or all.

    Raises:
        MissingFeatureError: there is none.
    """
    from featstore.errors import MissingFeatureError
    from featstore.stores import find_sets, list_sets

    found = find_sets(store, name) if name else list_sets(store)
    if not found:
        what = f"no feature set '{name}'" if name else "no feature set"
        raise MissingFeatureError(f"{store} has {what}; `{command('store', 'ls', '--store', store)}` lists the sets.")
    return found


def _is_so(found: SetInfo, backend: str | None, dtype: str | None) -> bool:
    return found.meta.backend == (backend or found.meta.backend) and found.meta.dtype == (dtype or found.meta.dtype)


def one_set(store: str, name: str, *, target: tuple[str | None, str | None] = (None, None)) -> SetInfo:
    """Return the feature set that a name means.

    Args:
        store: the store.
        name: the name.
        target: backend and number type that a set is to be converted to, None where they stay. A set that is so already
            is not meant if there is another: an interrupted conversion has left it.

    Raises:
        MissingFeatureError, UsageError: there is none, or there are several.
    """
    found = sets_named(store, name)
    if any(target):
        found = [s for s in found if not _is_so(s, *target)] or found
    if len(found) > 1:
        several = ", ".join(Path(s.path).name for s in found)
        raise UsageError(f"{store} has several sets '{name}'; name one of them by its folder: {several}.")
    return found[0]


def store_ls(store: Store = "features", as_json: AsJson = False) -> None:
    """List the feature sets of a store."""
    from featstore.stores import list_sets

    sets = list_sets(store)
    if as_json:
        print_json(sets)
        return
    print_table(
        store,
        ["encoder", "identity", "dim", "layers", "dtype", "backend", "shards", "sentences"],
        [
            [
                s.meta.name,
                s.meta.identity[:16],
                str(s.meta.dim),
                str(s.meta.layers),
                s.meta.dtype,
                s.meta.backend,
                f"{s.shards:,}",
                f"{s.sentences:,}",
            ]
            for s in sets
        ],
    )


def store_info(
    name: Annotated[str, typer.Argument(help="Name of the encoder. NAME@ID narrows it to identities that begin so.")],
    store: Store = "features",
    as_json: AsJson = False,
) -> None:
    """Show what a feature set holds, and the facts behind its encoder's identity."""
    found = sets_named(store, name)
    if as_json:
        print_json(found)
        return
    for each in found:
        rows = {"path": each.path, "shards": f"{each.shards:,}", "sentences": f"{each.sentences:,}"}
        rows |= {key: str(value) for key, value in dataclasses.asdict(each.meta).items() if key != "facts"}
        rows |= {f"fact: {key}": json.dumps(value, ensure_ascii=False) for key, value in each.meta.facts.items()}
        print_facts(each.meta.name, rows)


def store_du(store: Store = "features", as_json: AsJson = False) -> None:
    """Show the disk space of each feature set, and when it was last written to."""
    from featstore.stores.maintenance.usage import usage

    sets = usage(store)
    if as_json:
        print_json(sets)
        return
    print_table(
        store,
        ["set", "shards", "sentences", "tokens", "size", "leftovers", "last written"],
        [
            [
                Path(s.path).name,
                f"{s.shards:,}",
                f"{s.sentences:,}",
                f"{s.tokens:,}",
                size_of(s.bytes),
                size_of(s.leftover_bytes),
                f"{duration(s.age)} ago",
            ]
            for s in sets
        ],
    )


def store_inspect(
    name: SetName,
    instance: Annotated[
        str | None, typer.Option("--id", help="Id of the instance. By default it is the corpus's first.")
    ] = None,
    corpus: Corpus = "sample",
    instances: Instances = None,
    context: Context = "tagged",
    indicators: Indicators = "tags",
    store: Store = "features",
    as_json: AsJson = False,
) -> None:
    """Show one sentence: its tokens, their offsets, the place of its vectors and their norms."""
    from featstore.corpora import load_corpus
    from featstore.stores.maintenance.inspect import inspect

    loaded = load_corpus(corpus, indicators=indicators, context=context, instances=instances)
    found = next((i for i in loaded.instances if instance in (None, i.id)), None)
    if found is None:
        raise UsageError(f"{corpus} has no instance '{instance}'; the first is '{loaded.instances[0].id}'.")
    view = inspect(one_set(store, name).path, found.key)
    if as_json:
        print_json({"id": found.id, "tokens": found.tokens, "offsets": found.offsets, "stored": view})
        return
    state = "sound" if view.whole else "DAMAGED"
    print_table(
        f"{found.id}: {view.shard}, rows {view.first} to {view.stop - 1}, {state}",
        ["token", "characters", *(f"norm {layer}" for layer in range(len(view.norms[0])))],
        [
            [token, "-" if start < 0 else f"{start}-{end}", *(f"{norm:.3f}" for norm in norms)]
            for token, (start, end), norms in zip(found.tokens, found.offsets, view.norms, strict=True)
        ],
    )


def store_explain(
    encoders: Annotated[
        str, typer.Option(help="Encoders, separated by commas, as for `cli featurize`.")
    ] = "glove,cse,elmo",
    precision: EncoderPrecision = "float32",
    device: EncoderDevice = "cpu",
    corpus: Corpus = "sample",
    instances: Instances = None,
    context: Context = "tagged",
    indicators: Indicators = "tags",
    store: Store = "features",
    as_json: AsJson = False,
) -> None:
    """Say whether the vectors that a command needs are stored, and if not, which fact differs."""
    from featstore.corpora import load_corpus
    from featstore.encoders import load_encoder
    from featstore.featurize.encode import distinct_sentences
    from featstore.stores.maintenance.explain import explain
    from featstore.stores.maintenance.remake import view_facts

    loaded = load_corpus(corpus, indicators=indicators, context=context, instances=instances)
    keys = list(distinct_sentences(loaded.instances))
    results = []
    for spec in encoder_specs(encoders):
        if facts := view_facts(store, spec):
            results.append(explain(store, spec, facts, keys))
        else:
            encoder = load_encoder(spec, device=device, precision=precision)
            results.append(explain(store, encoder.name, encoder.facts, keys))
    if as_json:
        print_json(results)
        return
    for result in results:
        wanted = f"({count_of(result.sentences, 'sentence')} wanted of {result.identity[:16]})"
        out.print(f"{escape(result.name)}: {result.verdict} {wanted}", soft_wrap=True)
        for found in result.sets:
            counts = f"has {found.stored:,}, lacks {found.missing:,}"
            out.print(f"  {escape(Path(found.path).name)}: {counts}", soft_wrap=True)
            for difference in found.differences:
                out.print(
                    escape(f"    {difference.fact}: wanted {difference.wanted}, found {difference.found}"),
                    soft_wrap=True,
                )


COMMANDS: Commands = {
    "ls": store_ls,
    "info": store_info,
    "du": store_du,
    "inspect": store_inspect,
    "explain": store_explain,
}
