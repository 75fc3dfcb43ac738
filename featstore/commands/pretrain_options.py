"""The options that several commands of ``cli pretrain`` share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from featstore.commands.options import finite

Text = Annotated[
    list[Path],
    typer.Option("--text", help="UTF-8 text, plain or .gz, with a sentence or abstract on each line. Repeat for more."),
]
Valid = Annotated[
    list[Path] | None, typer.Option("--valid", help="Held-out text. By default it is one line in a hundred of --text.")
]
OutFolder = Annotated[Path, typer.Option("--out", help="Folder for the model, its card and its checkpoints.")]
Epochs = Annotated[float, typer.Option(min=0, callback=finite, help="Number of passes over the text.")]
Steps = Annotated[int | None, typer.Option(min=1, help="Number of optimiser steps, in place of --epochs.")]
Minutes = Annotated[
    float | None,
    typer.Option(
        min=0.01,
        callback=finite,
        help="Time of the training in minutes, in place of --epochs. It ends then, with a learning rate that has "
        "fallen as it should. Reading and counting the text comes before.",
    ),
]
Anneal = Annotated[
    str,
    typer.Option(
        metavar="cosine|plateau",
        help="Course of the learning rate. cosine: it falls to a hundredth. plateau: it is halved when the held-out "
        "loss stops falling.",
    ),
]
Rate = Annotated[float, typer.Option("--lr", min=0, callback=finite, help="Peak learning rate of AdamW.")]
Processes = Annotated[int, typer.Option(min=1, help="Number of processes that share a training, with one thread each.")]
Device = Annotated[
    str,
    typer.Option(
        envvar="FEATSTORE_DEVICE",
        metavar="auto|cpu|cuda",
        help="Device to train on. auto is a GPU if there is one.",
    ),
]
Precision = Annotated[
    str,
    typer.Option(
        metavar="bfloat16|float32",
        help="Precision of the matrix products. float32 is faster where a processor lacks bfloat16.",
    ),
]
Dropout = Annotated[
    float, typer.Option(min=0, max=1, callback=finite, help="Dropout rate of the LSTMs' inputs and outputs.")
]
Layers = Annotated[int, typer.Option(min=1, help="Number of LSTM layers (of each direction).")]
Least = Annotated[
    int, typer.Option(min=1, help="Number of occurrences that a word (cse: a character) needs to be in the vocabulary.")
]
Vocabulary = Annotated[int, typer.Option(min=1, help="Size of the vocabulary; the most frequent words are taken.")]
Start = Annotated[
    Path | None,
    typer.Option(
        "--from",
        help="Folder of a model that goes on learning. It brings its sizes and its vocabulary. By default the training "
        "begins with random weights.",
    ),
]
Seed = Annotated[int, typer.Option(min=0, help="Seed of the initial weights and of dropout.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Begin anew. Without it a training that was interrupted goes on.")]
