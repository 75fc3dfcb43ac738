"""The options that several commands share, each once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from featstore.errors import UsageError

Commands = dict[str, Callable[..., None]]

Corpus = Annotated[
    str,
    typer.Option(
        "--corpus",
        envvar="FEATSTORE_CORPUS",
        help="sample, chemprot[:DIR], gad[:DIR], euadr[:DIR] or jsonl:FILE.",
    ),
]
Instances = Annotated[
    Path | None,
    typer.Option("--instances", help="ChemProt: the list of instances (default: lim_kang_instances.tsv in DIR)."),
]
Store = Annotated[
    str,
    typer.Option(
        "--store", envvar="FEATSTORE_STORE", help="The folder (or s3:// address) that holds the feature sets."
    ),
]


Context = Annotated[
    str,
    typer.Option(
        "--context",
        envvar="FEATSTORE_CONTEXT",
        help="tagged: the encoders see the indicators in the text; sentence: each distinct sentence is encoded once, "
        "without them, and the head learns a vector for each indicator.",
    ),
]
Indicators = Annotated[
    str,
    typer.Option(
        "--indicators",
        envvar="FEATSTORE_INDICATORS",
        help="tags: <gene> .. </gene> round the pair; replace: one word in place of each of the two; blind: tags, "
        "and a noun (gene, chemical) in place of every mention of the sentence.",
    ),
]
EncoderPrecision = Annotated[
    str,
    typer.Option("--precision", help="Of the encoders' products: float32, bfloat16 or int8; part of their identity."),
]
EncoderDevice = Annotated[
    str,
    typer.Option(
        "--device", envvar="FEATSTORE_DEVICE", help="Where the encoders run: cpu, or cuda where there is one."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on stdout instead of a table.")]


DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done; do nothing.")]


def encoder_specs(encoders: str) -> list[str]:
    specs = [spec.strip() for spec in encoders.split(",") if spec.strip()]
    if not specs:
        raise UsageError("--encoders is empty; name at least one, for instance glove,cse,elmo.")
    return specs
