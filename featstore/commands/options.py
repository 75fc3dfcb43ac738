"""The options that several commands share, each once, and the checks of their values.

A value is checked while the command line is read, so that a mistake is reported before any work begins.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from featstore.errors import UsageError, check_choice
from featstore.files import check_output_folder, check_readable_folder

Commands = dict[str, Callable[..., None]]


def finite(value: float | None) -> float | None:
    """Return a number that was given for an option, unless it is not a number or infinite."""
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter(f"{value} is not a finite number.")
    return value


def one_of(names: Callable[[], Sequence[str]]) -> Callable[[typer.CallbackParam, str | None], str | None]:
    """Return a callback that refuses a value which is not among ``names``."""

    def check(option: typer.CallbackParam, value: str | None) -> str | None:
        return value if value is None else check_choice(option.opts[0], value, names())

    return check


def _contexts() -> Sequence[str]:
    from featstore.corpora.mark import CONTEXTS

    return CONTEXTS


def _indicators() -> Sequence[str]:
    from featstore.corpora.mark import INDICATORS

    return INDICATORS


def precisions() -> Sequence[str]:
    """The precisions that encoders know."""
    from featstore.encoders.options import PRECISIONS

    return PRECISIONS


def backends() -> Sequence[str]:
    """The backends that store something."""
    from featstore.stores import BACKENDS

    return tuple(BACKENDS)


def dtypes() -> Sequence[str]:
    """The number types that a store can hold."""
    from featstore.stores import DTYPES

    return DTYPES


def _device(value: str) -> str:
    from featstore.encoders.options import check_device

    return check_device(value)


def read_shard(value: str | None) -> str | None:
    """Return the shard that was named, as ``I/N``, once it is known to be one."""
    from featstore.scale.shard import Shard

    return None if value is None else str(Shard.read(value))


def _engine(value: str) -> str:
    from featstore.scale.table import check_engine

    return check_engine(value)


CORPORA = (
    "sample, chemprot, chemprot-drugprot (both folders, separated by a comma), gad, euadr, drugprot, drugprot-new, "
    "bc5cdr, biored, ddi, aimed, bioinfer, hprd50, iepa, lll, documents (annotated documents of your own) or jsonl "
    "(marked pairs)"
)
Corpus = Annotated[
    str,
    typer.Option(
        "--corpus",
        envvar="FEATSTORE_CORPUS",
        help="The corpus, as NAME or NAME:PATH. Without PATH it is the one that `cli data get` has fetched. NAME is "
        f"{CORPORA}.",
    ),
]
Instances = Annotated[
    Path | None,
    typer.Option(
        "--instances",
        help="File that lists the instances to take from ChemProt. By default it is lim_kang_instances.tsv in DIR, if "
        "that file exists.",
    ),
]
Store = Annotated[
    str,
    typer.Option(
        "--store",
        envvar="FEATSTORE_STORE",
        help="Folder, or s3:// address, of the store that holds the feature sets.",
    ),
]
Context = Annotated[
    str,
    typer.Option(
        "--context",
        envvar="FEATSTORE_CONTEXT",
        callback=one_of(_contexts),
        metavar="tagged|sentence",
        help="What the encoders see. tagged: each pair's sentence with the indicators in it. sentence: each distinct "
        "sentence once, without them; the head learns a vector for each indicator.",
    ),
]
Indicators = Annotated[
    str,
    typer.Option(
        "--indicators",
        envvar="FEATSTORE_INDICATORS",
        callback=one_of(_indicators),
        metavar="tags|replace|blind",
        help="How the pair is marked. tags: <gene> .. </gene> around each mention. replace: one word in place of each "
        "mention. blind: tags, and a noun such as gene in place of every mention of the sentence.",
    ),
]
Backend = Annotated[
    str, typer.Option(callback=one_of(backends), metavar="hdf5|zarr", help="Format of the files of the store.")
]
Dtype = Annotated[
    str, typer.Option(callback=one_of(dtypes), metavar="float16|float32", help="Number type of the stored vectors.")
]
EncoderPrecision = Annotated[
    str,
    typer.Option(
        "--precision",
        callback=one_of(precisions),
        metavar="float32|bfloat16|int8",
        help="Precision of the encoders' matrix products. It is part of an encoder's identity.",
    ),
]
EncoderDevice = Annotated[
    str,
    typer.Option(
        "--device",
        envvar="FEATSTORE_DEVICE",
        callback=_device,
        help="Device that the encoders run on: cpu, or cuda where there is a GPU.",
    ),
]
ShardOf = Annotated[
    str | None,
    typer.Option(
        "--shard",
        callback=read_shard,
        metavar="I/N",
        help="Do only share I of N, as one job of an array of a batch scheduler. All N together do the whole work.",
    ),
]
EngineName = Annotated[
    str,
    typer.Option(
        "--engine",
        callback=_engine,
        metavar="local|ray[:ADDRESS]",
        help="Where workers run. local: on this machine. ray: in a Ray that is started here. ray:ADDRESS: on the nodes "
        "of the Ray cluster at that address, which all see the same files.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on stdout instead of a table.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what the command would do, and do nothing.")]


def given(context: typer.Context, names: Iterable[str]) -> list[str]:
    """The options among ``names`` that stand on the command line."""
    said = [name for name in names if getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"]
    return ["--" + name.replace("_", "-") for name in said]


def check_store(store: str) -> None:
    """Make sure that the folder of a store is, or can become, a folder to write in; an address is left alone.

    Raises:
        UsageError, ResourceError: it cannot.
    """
    if "://" not in store:
        check_output_folder(Path(store))


def check_store_to_fill(store: str) -> None:
    """Do the same for a store of which only missing sentences are written: one that is there may lack none.

    Raises:
        UsageError, ResourceError: as :func:`check_store`.
    """
    if Path(store).is_dir():
        check_stored(store)
    else:
        check_store(store)


def check_stored(store: str) -> None:
    """Make sure that a store which is only read is no file; one that does not exist holds nothing.

    Raises:
        UsageError: it is a file, or below one.
    """
    if "://" not in store:
        check_readable_folder(Path(store))


def encoder_specs(encoders: str) -> list[str]:
    """Return the specs in a list separated by commas.

    Raises:
        UsageError: it is empty.
    """
    from featstore.encoders.spec import split_specs

    specs = split_specs(encoders)
    if not specs:
        raise UsageError("--encoders is empty; name at least one, for instance glove,cse,elmo.")
    return specs
