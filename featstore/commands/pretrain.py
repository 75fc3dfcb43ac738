"""``cli pretrain``: train encoders on text."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from featstore.commands.console import (
    SECONDS_BETWEEN_LINES,
    duration,
    err,
    escape,
    out,
    print_json,
)
from featstore.commands.options import (
    AsJson,
    Commands,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from featstore.pretrain.schedule import PretrainProgress


Text = Annotated[
    list[Path], typer.Option("--text", help="UTF-8 text, plain or .gz, a sentence or abstract a line; repeat for more.")
]
Valid = Annotated[
    list[Path] | None, typer.Option("--valid", help="Held-out text (default: one line in a hundred of --text).")
]
OutFolder = Annotated[Path, typer.Option("--out", help="Folder for the model, its card and its checkpoints.")]
Epochs = Annotated[float, typer.Option(help="Passes over the text.")]
Steps = Annotated[int | None, typer.Option(help="Optimiser steps in all, in place of --epochs.")]
Anneal = Annotated[str, typer.Option(help="cosine, or plateau: halve the rate when the held-out loss stops falling.")]
Processes = Annotated[int, typer.Option(help="Processes that share a training, one thread each.")]
Device = Annotated[str, typer.Option(help="cpu, cuda, or auto: a GPU if there is one.")]
Precision = Annotated[
    str, typer.Option(help="Of the matrix products, bfloat16 or float32 (faster where a processor lacks bfloat16).")
]
Seed = Annotated[int, typer.Option(help="Of initial weights and dropout.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Begin anew; without it a training that was cut off goes on.")]


@contextmanager
def training_progress() -> Iterator[Callable[[PretrainProgress], None]]:
    """Yield a callback that shows where each training stands: a bar each on a terminal, lines elsewhere."""
    if err.is_terminal:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[at]}"))
        with Progress(*columns, console=err) as bars:
            tasks: dict[str, Any] = {}

            def on_terminal(p: PretrainProgress) -> None:
                if p.name not in tasks:
                    tasks[p.name] = bars.add_task(p.name, total=p.steps, at="")
                bars.update(tasks[p.name], completed=p.step, at=_standing(p))

            yield on_terminal
        return
    last: dict[str, float] = {}

    def on_log(p: PretrainProgress) -> None:
        now = time.monotonic()
        if now - last.get(p.name, 0.0) >= SECONDS_BETWEEN_LINES or p.step == p.steps:
            last[p.name] = now
            err.print(f"{p.name}: step {p.step:,}/{p.steps:,}, {_standing(p)}", soft_wrap=True)

    yield on_log


def _standing(p: PretrainProgress) -> str:
    held_out = "" if p.held_out is None else f", held-out {p.held_out:.3f} {p.measure}"
    return f"{p.per_second:,.0f}/s, {duration(p.seconds_left)} left{held_out}"


def pretrain_cse_command(
    text: Text,
    out_folder: OutFolder,
    valid: Valid = None,
    direction: Annotated[str, typer.Option(help="forward, backward or both, side by side.")] = "both",
    hidden: Annotated[int, typer.Option(help="Units of each LSTM layer.")] = 512,
    layers: Annotated[int, typer.Option(help="LSTM layers.")] = 1,
    dropout: Annotated[float, typer.Option(help="On the LSTM's inputs and outputs.")] = 0.0,
    streams: Annotated[int, typer.Option(help="Streams of text side by side.")] = 64,
    length: Annotated[int, typer.Option(help="Characters between two cuts of the gradient.")] = 128,
    least: Annotated[int, typer.Option(help="Occurrences that a character of the dictionary needs.")] = 25,
    epochs: Epochs = 1.0,
    steps: Steps = None,
    lr: Annotated[float, typer.Option(help="Peak learning rate (AdamW).")] = 3e-3,
    anneal: Anneal = "cosine",
    precision: Precision = "bfloat16",
    processes: Processes = 1,
    device: Device = "auto",
    seed: Seed = 1,
    flair: Annotated[bool, typer.Option("--flair", help="Also write .pt files, for flair's FlairEmbeddings.")] = False,
    fresh: Fresh = False,
    as_json: AsJson = False,
) -> None:
    """Train character language models (Akbik et al. 2018); `cse:OUT` is then an encoder."""
    from featstore.pretrain.cse import CSEConfig, pretrain_cse
    from featstore.pretrain.schedule import Schedule

    config = CSEConfig(
        text=tuple(text),
        out=out_folder,
        valid=tuple(valid or ()),
        direction=direction,
        hidden_size=hidden,
        nlayers=layers,
        dropout=dropout,
        streams=streams,
        length=length,
        least=least,
        schedule=Schedule(epochs=epochs, steps=steps, learning_rate=lr, anneal=anneal, seed=seed),
        precision=precision,
        processes=processes,
        device=device,
        flair=flair,
        fresh=fresh,
    )
    with training_progress() as progress:
        _print_pretrained(pretrain_cse(config, progress), out_folder, as_json)


def pretrain_elmo_command(
    text: Text,
    out_folder: OutFolder,
    valid: Valid = None,
    cells: Annotated[int, typer.Option(help="Units of each LSTM.")] = 512,
    projection: Annotated[int, typer.Option(help="Width of the token layer and of each direction's output.")] = 128,
    layers: Annotated[int, typer.Option(help="LSTM layers in each direction.")] = 2,
    dropout: Annotated[float, typer.Option(help="On the LSTMs' inputs and outputs.")] = 0.0,
    vocabulary: Annotated[int, typer.Option(help="Words that the softmax predicts, the most frequent.")] = 40_000,
    least: Annotated[int, typer.Option(help="Occurrences that such a word needs.")] = 5,
    tokens: Annotated[int, typer.Option(help="Tokens in a batch.")] = 2048,
    epochs: Epochs = 1.0,
    steps: Steps = None,
    lr: Annotated[float, typer.Option(help="Peak learning rate (AdamW).")] = 2e-3,
    anneal: Anneal = "cosine",
    precision: Precision = "bfloat16",
    processes: Processes = 1,
    device: Device = "auto",
    seed: Seed = 1,
    fresh: Fresh = False,
    as_json: AsJson = False,
) -> None:
    """Train a bidirectional word language model (Peters et al. 2018); `elmo:OUT` is then an encoder."""
    from dataclasses import replace

    from featstore.pretrain.elmo import ELMoConfig, pretrain_elmo

    config = ELMoConfig(
        text=tuple(text),
        out=out_folder,
        valid=tuple(valid or ()),
        dim=cells,
        projection_dim=projection,
        n_layers=layers,
        dropout=dropout,
        vocabulary=vocabulary,
        least=least,
        tokens=tokens,
        precision=precision,
        processes=processes,
        device=device,
        fresh=fresh,
    )
    schedule = replace(config.schedule, epochs=epochs, steps=steps, learning_rate=lr, anneal=anneal, seed=seed)
    with training_progress() as progress:
        _print_pretrained(pretrain_elmo(replace(config, schedule=schedule), progress), out_folder, as_json)


def pretrain_glove_command(
    text: Text,
    out_folder: OutFolder,
    dim: Annotated[int, typer.Option(help="Columns.")] = 100,
    window: Annotated[int, typer.Option(help="Words to either side that count as near.")] = 10,
    vocabulary: Annotated[int, typer.Option(help="Words, the most frequent.")] = 50_000,
    least: Annotated[int, typer.Option(help="Occurrences that such a word needs.")] = 5,
    epochs: Annotated[float, typer.Option(help="Passes over the counted pairs of words.")] = 15.0,
    steps: Steps = None,
    lr: Annotated[float, typer.Option(help="Peak learning rate (AdamW).")] = 1e-2,
    anneal: Anneal = "cosine",
    seed: Seed = 1,
    fresh: Fresh = False,
    as_json: AsJson = False,
) -> None:
    """Train word vectors (Pennington et al. 2014); `glove:OUT/glove.txt` is then an encoder."""
    from dataclasses import replace

    from featstore.pretrain.glove import GloVeConfig, pretrain_glove

    config = GloVeConfig(
        text=tuple(text), out=out_folder, dim=dim, window=window, vocabulary=vocabulary, least=least, fresh=fresh
    )
    schedule = replace(config.schedule, epochs=epochs, steps=steps, learning_rate=lr, anneal=anneal, seed=seed)
    with training_progress() as progress:
        _print_pretrained(pretrain_glove(replace(config, schedule=schedule), progress), out_folder, as_json)


def _print_pretrained(result: dict[str, Any], folder: Path, as_json: bool) -> None:
    if as_json:
        print_json(result)
        return
    use = f"use it with --encoders {result['encoder']}" if result["encoder"] else "the other direction is missing yet"
    out.print(escape(f"{folder}: trained ({folder / 'README.md'} is the model card); {use}"), soft_wrap=True)


COMMANDS: Commands = {
    "cse": pretrain_cse_command,
    "elmo": pretrain_elmo_command,
    "glove": pretrain_glove_command,
}
