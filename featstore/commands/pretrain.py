"""``cli pretrain``: train encoders on text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from featstore.commands.console import command, escape, out, print_json
from featstore.commands.options import AsJson, Commands, finite, given
from featstore.commands.pretrain_options import (
    Anneal,
    Device,
    Dropout,
    Epochs,
    Fresh,
    Layers,
    Least,
    Minutes,
    OutFolder,
    Precision,
    Processes,
    Rate,
    Seed,
    Start,
    Steps,
    Text,
    Valid,
    Vocabulary,
)
from featstore.commands.pretrain_progress import training_progress
from featstore.errors import UsageError
from featstore.files import check_input, check_output_folder

if TYPE_CHECKING:
    from featstore.pretrain.config import PretrainConfig
    from featstore.pretrain.glove import GloVeConfig
    from featstore.pretrain.schedule import PretrainProgress

    C = TypeVar("C", bound=PretrainConfig | GloVeConfig)
    Report = Callable[[PretrainProgress], None]


def pretrain_cse_command(
    called: typer.Context,
    text: Text,
    out_folder: OutFolder,
    valid: Valid = None,
    start: Start = None,
    direction: Annotated[
        str, typer.Option(metavar="forward|backward|both", help="Direction to train. both trains them side by side.")
    ] = "both",
    hidden: Annotated[int, typer.Option(min=1, help="Number of units of each LSTM layer.")] = 512,
    layers: Layers = 1,
    dropout: Dropout = 0.0,
    streams: Annotated[int, typer.Option(min=1, help="Number of streams of text that are read side by side.")] = 64,
    length: Annotated[int, typer.Option(min=1, help="Number of characters that a gradient reaches back.")] = 128,
    least: Least = 25,
    epochs: Epochs = 1.0,
    steps: Steps = None,
    minutes: Minutes = None,
    lr: Rate = 3e-3,
    anneal: Anneal = "cosine",
    precision: Precision = "bfloat16",
    processes: Processes = 1,
    device: Device = "auto",
    seed: Seed = 1,
    flair: Annotated[
        bool, typer.Option("--flair", help="Also write .pt files, which flair's FlairEmbeddings read.")
    ] = False,
    fresh: Fresh = False,
    as_json: AsJson = False,
) -> None:
    """Train character language models (Akbik et al. 2018); `cse:OUT` is then an encoder."""
    from featstore.pretrain.cse import CSEConfig, pretrain_cse
    from featstore.pretrain.schedule import Schedule

    _check_start(called, start, ("hidden", "layers", "least"))
    config = CSEConfig(
        text=tuple(text),
        out=out_folder,
        valid=tuple(valid or ()),
        start=start,
        direction=direction,
        hidden_size=hidden,
        nlayers=layers,
        dropout=dropout,
        streams=streams,
        length=length,
        least=least,
        schedule=Schedule(epochs=epochs, steps=steps, minutes=minutes, learning_rate=lr, anneal=anneal, seed=seed),
        precision=precision,
        processes=processes,
        device=device,
        flair=flair,
        fresh=fresh,
    )
    _pretrain(pretrain_cse, config, as_json)


def pretrain_elmo_command(
    called: typer.Context,
    text: Text,
    out_folder: OutFolder,
    valid: Valid = None,
    start: Start = None,
    cells: Annotated[int, typer.Option(min=1, help="Number of units of each LSTM.")] = 512,
    projection: Annotated[
        int, typer.Option(min=1, help="Width of the token layer and of each direction's output.")
    ] = 128,
    layers: Layers = 2,
    dropout: Dropout = 0.0,
    vocabulary: Vocabulary = 40_000,
    least: Least = 5,
    tokens: Annotated[int, typer.Option(min=1, help="Number of tokens in a batch.")] = 2048,
    epochs: Epochs = 1.0,
    steps: Steps = None,
    minutes: Minutes = None,
    lr: Rate = 2e-3,
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

    _check_start(called, start, ("cells", "projection", "layers", "vocabulary", "least"))
    config = ELMoConfig(
        text=tuple(text),
        out=out_folder,
        valid=tuple(valid or ()),
        start=start,
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
    schedule = replace(
        config.schedule, epochs=epochs, steps=steps, minutes=minutes, learning_rate=lr, anneal=anneal, seed=seed
    )
    _pretrain(pretrain_elmo, replace(config, schedule=schedule), as_json)


def pretrain_glove_command(
    text: Text,
    out_folder: OutFolder,
    dim: Annotated[int, typer.Option(min=1, help="Number of columns of a vector.")] = 100,
    window: Annotated[int, typer.Option(min=1, help="Number of words to either side that count as near.")] = 10,
    vocabulary: Vocabulary = 50_000,
    least: Least = 5,
    epochs: Annotated[
        float, typer.Option(min=0, callback=finite, help="Number of passes over the counted pairs of words.")
    ] = 15.0,
    steps: Steps = None,
    minutes: Minutes = None,
    lr: Rate = 1e-2,
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
    schedule = replace(
        config.schedule, epochs=epochs, steps=steps, minutes=minutes, learning_rate=lr, anneal=anneal, seed=seed
    )
    _pretrain(pretrain_glove, replace(config, schedule=schedule), as_json)


def pretrain_bert_command(
    text: Text,
    out_folder: OutFolder,
    start: Annotated[
        Path,
        typer.Option("--from", help="Folder with the checkpoint of transformers to start from (BERT's family)."),
    ],
    valid: Valid = None,
    length: Annotated[int, typer.Option(min=1, help="Number of word pieces that are read together.")] = 128,
    tokens: Annotated[int, typer.Option(min=1, help="Number of word pieces in a batch.")] = 4096,
    share: Annotated[
        float, typer.Option(min=0, max=1, callback=finite, help="Share of the words that are hidden.")
    ] = 0.15,
    dropout: Annotated[
        float, typer.Option(min=0, max=1, callback=finite, help="Dropout rate inside the transformer.")
    ] = 0.0,
    epochs: Epochs = 1.0,
    steps: Steps = None,
    minutes: Minutes = None,
    lr: Rate = 3e-4,
    anneal: Anneal = "cosine",
    precision: Precision = "bfloat16",
    processes: Processes = 1,
    device: Device = "auto",
    seed: Seed = 1,
    fresh: Fresh = False,
    as_json: AsJson = False,
) -> None:
    """Train a transformer further on hidden words (Devlin et al. 2019); `bert:OUT` is then an encoder."""
    from dataclasses import replace

    from featstore.pretrain.bert import BERTConfig, pretrain_bert

    config = BERTConfig(
        start=start,
        text=tuple(text),
        out=out_folder,
        valid=tuple(valid or ()),
        length=length,
        tokens=tokens,
        share=share,
        dropout=dropout,
        precision=precision,
        processes=processes,
        device=device,
        fresh=fresh,
    )
    schedule = replace(
        config.schedule, epochs=epochs, steps=steps, minutes=minutes, learning_rate=lr, anneal=anneal, seed=seed
    )
    _pretrain(pretrain_bert, replace(config, schedule=schedule), as_json)


def _check_start(called: typer.Context, start: Path | None, sizes: tuple[str, ...]) -> None:
    if start is not None and (clashing := given(called, sizes)):
        raise UsageError(f"the model of --from brings its sizes and vocabulary; leave {' and '.join(clashing)} out.")


def _check_places(text: tuple[Path, ...], valid: tuple[Path, ...], out_folder: Path) -> None:
    for path in (*text, *valid):
        check_input(path)
    check_output_folder(out_folder)


def _pretrain(train: Callable[[C, Report], Mapping[str, object]], config: C, as_json: bool) -> None:
    """Train with bars, after the places that are read and written were checked, and say what was made."""
    _check_places(config.source.text, config.source.valid, config.out)
    with training_progress() as progress:
        _print_pretrained(train(config, progress), config.out, as_json)


def _print_pretrained(result: Mapping[str, object], folder: Path, as_json: bool) -> None:
    if as_json:
        print_json(result)
        return
    use = "the other direction is not trained yet"
    if encoder := result["encoder"]:
        use = f"use it with: {command('featurize', '--encoders', str(encoder))}"
    out.print(escape(f"{folder}: trained ({folder / 'README.md'} is the model card); {use}"), soft_wrap=True)


COMMANDS: Commands = {
    "bert": pretrain_bert_command,
    "cse": pretrain_cse_command,
    "elmo": pretrain_elmo_command,
    "glove": pretrain_glove_command,
}
