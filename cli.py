"""The command line: parse, one library call, render. No logic.

In: arguments, the environment (``FEATSTORE_*``) and ``featstore.toml`` of the current folder, in this order of
precedence. Out: data on stdout (tables, or JSON with ``--json``), progress and log on stderr, and an exit code:
0 done, 2 usage, 3 finished with skipped items, 4 bad data, 5 damaged or mismatched store, 6 out of disk or
memory, 130 interrupted after a clean flush. Whatever is heavy is imported inside the command that needs it, so
that ``cli --help`` is there at once.
"""

from __future__ import annotations

import dataclasses
import errno
import functools
import inspect
import json
import logging
import shlex
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from featstore.errors import FeatstoreError, ResourceError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from classifier.ablate import CellEvent
    from classifier.ablate.ablation import Ablation
    from classifier.ablate.grid import Grid, RowPlan
    from classifier.runs.folds import Evaluation, Notice
    from classifier.scores.metrics import Scores
    from classifier.scores.summary import Summary
    from classifier.training.loop import Epoch
    from featstore.corpora.audit import CorpusReport
    from featstore.formats import BadDocument
    from featstore.pretrain.schedule import Progress as PretrainProgress
    from featstore.records import Corpus as LoadedCorpus
    from featstore.stores.bundle import Bundled
    from featstore.stores.sets import SetInfo

app = typer.Typer(
    help="Relation extraction from biomedical text with encoders whose vectors are computed once and kept.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
data_app = typer.Typer(help="Bring a corpus here and look at it.", no_args_is_help=True)
store_app = typer.Typer(help="Look after the stored vectors.", no_args_is_help=True)
pretrain_app = typer.Typer(help="Train encoders on text of your own.", no_args_is_help=True)
runs_app = typer.Typer(help="Look at runs and compare them.", no_args_is_help=True)
app.add_typer(data_app, name="data")
app.add_typer(store_app, name="store")
app.add_typer(pretrain_app, name="pretrain")
app.add_typer(runs_app, name="runs")

# Where stdout is a file or a pipe there is no width to fit; rows must not be broken.
out = Console(highlight=False, width=None if sys.stdout.isatty() else 200)
err = Console(stderr=True, highlight=False)

CONFIG_FILE = Path("featstore.toml")
RUNS = Path("runs")
SECONDS_BETWEEN_LINES = 5.0
FAILED_SHOWN = 10
INTERRUPTED = 130
# What the parser raises for a wrong command line. Typer brings its own copy of click and exports only the leaves of
# click's family of errors, so the base is taken from a leaf.
_USAGE_ERROR: Any = typer.BadParameter.__mro__[2]

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
Runs = Annotated[Path, typer.Option("--runs", envvar="FEATSTORE_RUNS", help="The folder of the runs.")]
RamBudget = Annotated[
    float,
    typer.Option("--ram-budget", min=0, help="Hold up to so many GB of vectors in memory; stream what is beyond."),
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


def fail(error: BaseException, code: int) -> NoReturn:
    """Print an error as one message and leave."""
    err.print(f"[bold red]error:[/] {_escape(str(error))}", soft_wrap=True)
    for note in getattr(error, "__notes__", ()):
        err.print(_escape(note), soft_wrap=True)
    sys.exit(code)


def _escape(text: str) -> str:
    from rich.markup import escape

    return escape(text)


def print_json(value: Any) -> None:
    """Print ``value`` (dataclasses allowed) as JSON on stdout."""

    def plain(item: Any) -> Any:
        if dataclasses.is_dataclass(item) and not isinstance(item, type):
            return dataclasses.asdict(item)
        if isinstance(item, Path):
            return str(item)
        if isinstance(item, bytes):
            return item.hex()
        raise TypeError(f"{type(item).__name__} is not JSON")

    sys.stdout.write(json.dumps(value, default=plain, indent=2, ensure_ascii=False) + "\n")


def print_table(title: str, header: list[str], rows: list[list[str]]) -> None:
    """Print a table on stdout; the first column holds words, the others figures."""
    table = Table(title=title, title_justify="left")
    for i, name in enumerate(header):
        table.add_column(name, justify="left" if i == 0 else "right", overflow="fold")
    for row in rows:
        table.add_row(*map(_escape, row))
    out.print(table)


def print_facts(title: str, facts: dict[str, str]) -> None:
    """Print names and what they are on stdout."""
    table = Table(title=title, title_justify="left", show_header=False)
    for name, value in facts.items():
        table.add_row(_escape(name), _escape(value))
    out.print(table)


def show_log() -> None:
    """Print what the library logs on stderr, through the console, so that a progress bar stays whole."""

    class ToConsole(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            err.print(_escape(self.format(record)), soft_wrap=True)

    library = logging.getLogger("featstore")
    library.handlers = [ToConsole()]
    library.propagate = False
    library.setLevel(logging.INFO)


@contextmanager
def progress_bar(what: str, unit: str) -> Iterator[Callable[[int, int | None], None]]:
    """Yield a callback (done, total): a bar with rate and ETA on a terminal, a line every few seconds elsewhere."""
    start = time.monotonic()
    if err.is_terminal:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=err) as bar:
            task = bar.add_task(what, total=None, rate="")

            def on_terminal(done: int, total: int | None) -> None:
                rate = done / max(1e-9, time.monotonic() - start)
                bar.update(task, completed=done, total=total, rate=f"{rate:,.0f} {unit}/s")

            yield on_terminal
        return
    last = start

    def on_log(done: int, total: int | None) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < SECONDS_BETWEEN_LINES and done != total:
            return
        last = now
        rate = done / max(1e-9, now - start)
        left = "" if total is None else f", {_duration((total - done) / max(1e-9, rate))} left"
        of = "" if total is None else f"/{total:,}"
        err.print(f"{what}: {done:,}{of} {unit}, {rate:,.0f}/s{left}", soft_wrap=True)

    yield on_log


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


# ---------------------------------------------------------------------------------------------- configuration


def _configured(commands: dict[str, Any], settings: dict[str, Any], shared: dict[str, Any], table: str = "") -> Any:
    """Turn the tables of ``featstore.toml`` into click's default map.

    A table is named after its command and a key after its option, with - or _ between words; ``shared`` reaches
    every command that has the option.
    """
    defaults: dict[str, Any] = {}
    for name, own in settings.items():
        if name not in commands or not isinstance(own, dict):
            raise UsageError(f"{CONFIG_FILE}: '{table}{name}' is no table that a command has; see cli --help.")
    for name, command in commands.items():
        own = settings.get(name, {})
        if hasattr(command, "commands"):
            defaults[name] = _configured(command.commands, own, shared, f"{table}{name}.")
            continue
        options = _options(command)
        for key in own:
            if _word(key) not in options:
                raise UsageError(f"{CONFIG_FILE}: [{table}{name}] has no option '{key}'; see cli {name} --help.")
        reaching = {key: value for key, value in shared.items() if _word(key) in options}
        defaults[name] = {options[_word(key)]: value for key, value in {**reaching, **own}.items()}
    return defaults


def _options(command: Any) -> dict[str, str]:
    """The options of a command as ``featstore.toml`` writes them, and the parameters that they set."""
    return {_word(option): parameter.name for parameter in command.params for option in parameter.opts}


def _shared(shared: Any, commands: dict[str, Any]) -> dict[str, Any]:
    """Check the table [defaults]: every key must be an option of some command."""
    flat = [c for command in commands.values() for c in getattr(command, "commands", {"": command}).values()]
    known = {option for command in flat for option in _options(command)}
    unknown = [key for key in shared if _word(key) not in known] if isinstance(shared, dict) else ["defaults"]
    if unknown:
        raise UsageError(f"{CONFIG_FILE}: [defaults]: no command has an option '{unknown[0]}'; see cli --help.")
    return dict(shared)


def _word(option: str) -> str:
    return option.lstrip("-").replace("-", "_")


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        out.print(f"featstore {version('featstore')}")
        raise typer.Exit


@app.callback()
def configure(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    del version  # its callback has done the work
    if CONFIG_FILE.exists():
        import tomllib

        try:
            settings = tomllib.loads(CONFIG_FILE.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise UsageError(f"{CONFIG_FILE}: {error}") from error
        commands: dict[str, Any] = getattr(context.command, "commands", {})
        context.default_map = _configured(commands, settings, _shared(settings.pop("defaults", {}), commands))


# --------------------------------------------------------------------------------------------------- featurize


@app.command()
def featurize(
    encoders: Annotated[
        str,
        typer.Option(
            help="Encoders, separated by commas: NAME for the bundled one, NAME:PATH for your own "
            "(glove:FILE, cse:DIR, elmo:DIR)."
        ),
    ] = "glove,cse,elmo",
    corpus: Corpus = "sample",
    instances: Instances = None,
    store: Store = "features",
    backend: Annotated[str, typer.Option(help="hdf5 or zarr.")] = "hdf5",
    dtype: Annotated[str, typer.Option(help="float16 or float32.")] = "float16",
    context: Context = "tagged",
    indicators: Indicators = "tags",
    precision: EncoderPrecision = "float32",
    device: EncoderDevice = "cpu",
    workers: Annotated[
        int | None,
        typer.Option(help="Processes, one thread each (default: one for each core, if a probe says that it pays)."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Forecast time and space; write nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Encode the sentences of a corpus that the store does not hold yet."""
    from featstore.corpora import load_corpus
    from featstore.featurize.encode import distinct_sentences
    from featstore.featurize.encode import featurize as run
    from featstore.featurize.forecast import forecast

    show_log()
    loaded = load_corpus(corpus, indicators=indicators, context=context, instances=instances)
    sentences = distinct_sentences(loaded.instances)
    how = {"root": store, "dtype": dtype, "backend": backend, "precision": precision, "device": device}
    results: list[Any] = []
    for spec in _encoder_specs(encoders):
        if dry_run:
            results.append(forecast(sentences, spec, instances=len(loaded.instances), **how))
            continue
        with progress_bar(spec, "sentences") as progress:
            results.append(run(sentences, spec, workers=workers, progress=progress, **how))
    if as_json:
        print_json(results)
    elif dry_run:
        _print_forecast(results)
    else:
        _print_featurized(results, store)
    if not dry_run and any(result.failed for result in results):
        for result in results:
            _print_failed(result.encoder, [sentences[key] for key in result.failed])
        err.print("what failed is missing from the store; running the command again tries it again.", soft_wrap=True)
        raise typer.Exit(3)


def _print_failed(encoder: str, failed: list[tuple[str, ...]]) -> None:
    """Name the sentences that could not be encoded, the first of many; --json has all their keys."""
    for tokens in failed[:FAILED_SHOWN]:
        start = " ".join(tokens)[:60]
        err.print(_escape(f"{encoder}: failed: {len(tokens):,} tokens, '{start}'"), soft_wrap=True)
    if len(failed) > FAILED_SHOWN:
        err.print(f"{encoder}: failed: {len(failed) - FAILED_SHOWN:,} more", soft_wrap=True)


def _encoder_specs(encoders: str) -> list[str]:
    specs = [spec.strip() for spec in encoders.split(",") if spec.strip()]
    if not specs:
        raise UsageError("--encoders is empty; name at least one, for instance glove,cse,elmo.")
    return specs


def _print_forecast(results: list[Any]) -> None:
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
                _size(f.bytes),
                _size(f.free_bytes) if f.free_bytes is not None else "-",
                _duration(f.seconds),
            ]
            for f in results
        ],
    )


def _print_featurized(results: list[Any], store: str) -> None:
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
                _duration(f.seconds),
            ]
            for f in results
        ],
    )


# ---------------------------------------------------------------------------------------------- train and eval


Run = Annotated[
    Path | None,
    typer.Option("--run", envvar="FEATSTORE_RUN", help="The run's folder (default: below runs/, named by what it is)."),
]


def _training(
    head: Annotated[
        str, typer.Option(help="A recipe: paper (Hiai et al. 2021, eq. 1-10) or best; the options below change it.")
    ] = "paper",
    optimizer: Annotated[str | None, typer.Option(help="sgd (the paper's) or adamw.")] = None,
    lr: Annotated[
        float | None, typer.Option(help="Learning rate: 0.1 is the paper's for sgd, 0.001 suits adamw.")
    ] = None,
    schedule: Annotated[str | None, typer.Option(help="Of the learning rate: plateau (--patience) or cosine.")] = None,
    warmup: Annotated[float | None, typer.Option(help="Share of the steps in which the rate of cosine rises.")] = None,
    average: Annotated[float | None, typer.Option(help="Decay of the weights' moving average; 0: none.")] = None,
    consistency: Annotated[
        float | None,
        typer.Option(help="Score each batch under two dropouts that must agree, with this weight (R-Drop); 0: once."),
    ] = None,
    weight_decay: Annotated[float | None, typer.Option(help="Of adamw.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Instances in a batch.")] = None,
    hidden: Annotated[int | None, typer.Option(help="Hidden units of each direction.")] = None,
    project: Annotated[int | None, typer.Option(help="Map wider features to so many columns first; 0: do not.")] = None,
    spans: Annotated[bool | None, typer.Option(help="Classify the entities' mean states too.")] = None,
    members: Annotated[int | None, typer.Option(help="So many heads, whose probabilities are averaged.")] = None,
    dropout: Annotated[float | None, typer.Option(help="On the inputs and before the output layer.")] = None,
    standardise: Annotated[
        bool | None, typer.Option(help="Centre and scale each input column over the training part.")
    ] = None,
    favour: Annotated[
        bool | None, typer.Option(help="At the end raise the positive labels' scores by what is best on the dev part.")
    ] = None,
    max_epochs: Annotated[int | None, typer.Option(help="At most so many epochs; with cosine just so many.")] = None,
    patience: Annotated[int | None, typer.Option(help="Epochs without improvement before plateau halves.")] = None,
    precision: Annotated[str | None, typer.Option(help="Of the matrix products: float32 or bfloat16.")] = None,
    threads: Annotated[int, typer.Option(help="Threads of the matrix products.")] = 1,
) -> None:
    """The options of every command that trains; each is named after the field of TrainConfig that it sets."""


def with_training_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of :func:`_training`; it receives them as a dictionary, ``training``.

    What was not given is None there, for the recipe to fill in.
    """
    shared = inspect.signature(_training, eval_str=True).parameters
    own = [p for p in inspect.signature(command, eval_str=True).parameters.values() if p.name != "training"]

    @functools.wraps(command)
    def call(**given: Any) -> None:
        command(**{p.name: given[p.name] for p in own}, training={name: given[name] for name in shared})

    parameters = [*own, *shared.values()]
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {p.name: p.annotation for p in parameters}
    del call.__wrapped__  # typer would look through it
    return call


def _given(context: typer.Context, names: Iterable[str]) -> list[str]:
    """The options among ``names`` that stand on the command line."""
    said = [name for name in names if getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"]
    return ["--" + name.replace("_", "-") for name in said]


@app.command("train")
@with_training_options
def train_command(
    training: dict[str, Any],
    called: typer.Context,
    features: Annotated[
        str, typer.Option(help="What the head reads: names joined by +; elmo\\[top], elmo\\[avg], elmo[0]; NAME@ID.")
    ] = "glove+cse+elmo",
    corpus: Corpus = "sample",
    fold: Annotated[int, typer.Option(help="The fold to train; 1 for a corpus with one released split.")] = 1,
    run: Run = None,
    store: Store = "features",
    context: Context = "tagged",
    indicators: Indicators = "tags",
    instances: Instances = None,
    seed: Annotated[int, typer.Option(help="Of the weights, the order of the batches and dropout.")] = 1,
    config_file: Annotated[
        Path | None,
        typer.Option("--config", help="Repeat a run: its config.toml, in place of all options that say what a run is."),
    ] = None,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Log every epoch for TensorBoard, below the fold's folder.")
    ] = False,
    ram_budget: RamBudget = 4.0,
    as_json: AsJson = False,
) -> None:
    """Train the head on stored vectors."""
    from classifier.runs.config import RunConfig, read_config_file, run_corpus, run_name
    from classifier.runs.folds import train_fold
    from classifier.training.config import recipe

    if config_file:
        own = ("features", "corpus", "context", "indicators", "instances", "seed", *training)
        if clashing := _given(called, own):
            raise UsageError(f"--config says what the run is; leave out {', '.join(clashing)}.")
        config = read_config_file(config_file)
    else:
        config = RunConfig(
            corpus=corpus,
            indicators=indicators,
            context=context,
            instances=str(instances or ""),
            train=recipe(features=features, seed=seed, **training),
        )
    folder = run or RUNS / run_name(config)
    held = int(ram_budget * 1024**3)
    with epoch_progress(folder / f"fold-{fold}" / "tensorboard" if tensorboard else None) as progress:
        checkpoint = train_fold(run_corpus(config), store, config, fold, folder, progress=progress, ram_budget=held)
    epochs = checkpoint.training["epochs"]
    best = epochs[checkpoint.training["best_epoch"] - 1]
    if as_json:
        print_json({"run": folder, "fold": fold, "best": best, "training": checkpoint.training})
        return
    print_table(
        str(folder),
        ["fold", "epochs", "best epoch", "dev F1", "time"],
        [
            [
                str(fold),
                str(len(epochs)),
                str(best["number"]),
                _percent(best["dev_f1"]),
                _duration(checkpoint.training["seconds"]),
            ]
        ],
    )
    err.print(f"evaluate it with: cli eval --fold {fold} --run {folder}", soft_wrap=True)


def _report_epoch(event: Epoch | Notice) -> None:
    """Show an epoch as a line; a terminal shows only every new best one and the last besides the first few."""
    from classifier.training.loop import Epoch

    if not isinstance(event, Epoch):
        err.print(_escape(event.text), soft_wrap=True)
        return
    err.print(
        f"epoch {event.number}: loss {event.train_loss:.4f}, dev loss {event.dev_loss:.4f}, "
        f"dev F1 {_percent(event.dev_f1)}{' *' if event.best else ''}, lr {event.lr:g}, {event.seconds:.1f} s",
        soft_wrap=True,
    )


@contextmanager
def epoch_progress(log_folder: Path | None) -> Iterator[Callable[[Epoch | Notice], None]]:
    """Yield a callback that shows an epoch and, where a folder is given, logs it there for TensorBoard."""
    if log_folder is None:
        yield _report_epoch
        return
    from classifier.training.loop import Epoch
    from classifier.training.tensorboard import epoch_log

    with epoch_log(log_folder) as log:

        def on_epoch(event: Epoch | Notice) -> None:
            _report_epoch(event)
            if isinstance(event, Epoch):
                log(event)

        yield on_epoch


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.2f}"


@app.command("eval")
def eval_command(
    fold: Annotated[int | None, typer.Option(help="One fold.")] = None,
    folds: Annotated[str | None, typer.Option(help="Several: all, or numbers such as 1,2,3.")] = None,
    run: Run = None,
    store: Store = "features",
    predictions: Annotated[
        Path | None,
        typer.Option(help="Write the predictions of one fold: the evaluation kit's TSV for ChemProt, else a TSV."),
    ] = None,
    ram_budget: RamBudget = 4.0,
    as_json: AsJson = False,
) -> None:
    """Evaluate a run on the test part of a fold; a fold that is not trained yet is trained first."""
    from classifier.runs.config import latest_run, read_config, run_corpus
    from classifier.runs.folds import evaluate_fold
    from classifier.scores.summary import summarise

    if fold is not None and folds is not None:
        raise UsageError("--fold and --folds are both given; give one of them.")
    folder = run or latest_run(RUNS)
    config = read_config(folder)
    corpus = run_corpus(config)
    wanted = _folds(fold, folds, corpus, folder)
    if predictions and len(wanted) > 1:
        raise UsageError(f"--predictions takes one fold, {len(wanted)} were asked for; add --fold.")
    held = int(ram_budget * 1024**3)
    evaluations = [
        evaluate_fold(corpus, store, config, each, folder, progress=_report_epoch, ram_budget=held) for each in wanted
    ]
    if predictions:
        _write_predictions(predictions, corpus, evaluations[0])
    summary = summarise([evaluation.metrics for evaluation in evaluations])
    if as_json:
        print_json(
            {
                "run": folder,
                "corpus": config.corpus,
                "features": config.train.features,
                "folds": {evaluation.fold: evaluation.metrics for evaluation in evaluations},
                "gold_standard": _gold_standard(corpus, evaluations),
                "summary": summary,
            }
        )
        return
    _print_evaluations(config.train.features, corpus, evaluations, summary)


def _gold_standard(corpus: LoadedCorpus, evaluations: list[Evaluation]) -> dict[int, Scores]:
    from classifier.runs.gold_standard import against_gold_standard

    found = {e.fold: against_gold_standard(corpus, e.instances, e.predictions) for e in evaluations}
    return {fold: scores for fold, scores in found.items() if scores}


def _folds(fold: int | None, folds: str | None, corpus: LoadedCorpus, folder: Path) -> tuple[int, ...]:
    """The folds that are asked for; those that are trained if none is."""
    from classifier.runs.config import trained_folds

    if fold is not None:
        return (fold,)
    if folds is None:
        return trained_folds(folder) or corpus.folds[:1]
    if folds == "all":
        return corpus.folds
    try:
        return tuple(int(word) for word in folds.split(","))
    except ValueError as error:
        raise UsageError(f"--folds '{folds}' is neither 'all' nor numbers such as 1,2,3.") from error


def _write_predictions(path: Path, corpus: LoadedCorpus, evaluation: Evaluation) -> None:
    from classifier.runs.outputs import chemprot_tsv, predictions_tsv
    from featstore.files import write_file

    if corpus.name == "chemprot":
        text = chemprot_tsv(evaluation.instances, evaluation.predictions, corpus.labels, corpus.positive)
    else:
        text = predictions_tsv(evaluation.instances, evaluation.predictions, corpus.labels)
    write_file(path, text.encode("utf-8"))


def _print_evaluations(features: str, corpus: LoadedCorpus, evaluations: list[Evaluation], summary: Summary) -> None:
    rows = [
        [f"fold {e.fold}", *map(_percent, (e.metrics.micro.precision, e.metrics.micro.recall, e.metrics.micro.f1))]
        for e in evaluations
    ]
    if len(evaluations) > 1:
        rows.append(["mean", *map(_percent, (summary.precision, summary.recall, summary.f1))])
        rows.append(["sd", "", "", _percent(summary.f1_deviation)])
    for fold, standard in _gold_standard(corpus, evaluations).items():
        figures = map(_percent, (standard.precision, standard.recall, standard.f1))
        rows.append([f"fold {fold}, all {standard.gold:,} gold relations", *figures])
    counted = " + ".join(corpus.positive)
    print_table(f"{features} on {corpus.spec}: micro over {counted}", ["test", "P", "R", "F1"], rows)
    for evaluation in evaluations[: 1 if len(evaluations) == 1 else 0]:
        metrics = evaluation.metrics
        print_table(
            "By class",
            ["class", "gold", "predicted", "P", "R", "F1"],
            [
                [label, str(s.gold), str(s.predicted), _percent(s.precision), _percent(s.recall), _percent(s.f1)]
                for label, s in metrics.per_class.items()
            ],
        )
        print_table(
            "Confusion (rows gold, columns predicted)",
            ["", *metrics.labels],
            [[label, *map(str, row)] for label, row in zip(metrics.labels, metrics.confusion, strict=True)],
        )
    if summary.missed_as_negative is not None:
        out.print(f"Of the positives that were missed, {summary.missed_as_negative:.1%} were called negative.")


# ------------------------------------------------------------------------------------------------------- ablate


@app.command("ablate")
@with_training_options
def ablate_command(
    training: dict[str, Any],
    features: Annotated[
        str, typer.Option(help="Combinations to compare, separated by semicolons.")
    ] = "glove; glove+cse; glove+elmo; glove+cse+elmo",
    all_subsets: Annotated[
        bool, typer.Option("--all-subsets", help="Compare every subset of --encoders in place of --features.")
    ] = False,
    encoders: Annotated[str, typer.Option(help="Names for --all-subsets (default: all in the store but views).")] = "",
    corpus: Corpus = "sample",
    instances: Instances = None,
    folds: Annotated[str, typer.Option(help="all, or numbers such as 1,2,3.")] = "all",
    seeds: Annotated[str, typer.Option(help="How many (3: the seeds 1, 2 and 3), or which: 1,5,7.")] = "1",
    indicators: Annotated[str, typer.Option(help="One or several of tags, replace and blind.")] = "tags",
    contexts: Annotated[str, typer.Option(help="tagged, sentence or both: tagged,sentence.")] = "tagged",
    jobs: Annotated[int, typer.Option(help="Processes, one cell at a time each.")] = 1,
    store: Store = "features",
    runs: Runs = RUNS,
    out_folder: Annotated[Path, typer.Option("--out", help="The folder of the report.")] = Path("ablation"),
    ram_budget: RamBudget = 4.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say which cells would be run; run none.")] = False,
    as_json: AsJson = False,
) -> None:
    """Train and evaluate a grid of combinations, cell by cell, and report on it (HTML, Markdown, CSV, JSON).

    Every cell is a run as `cli train` makes it; what is complete is not run again. --head takes several heads,
    separated by commas. A cell that fails is reported, and the others are run (exit code 3). All processes share
    the memory budget.
    """
    from classifier.ablate import ablate
    from classifier.ablate import grid as grids
    from classifier.ablate.ablation import summarise_grid
    from classifier.ablate.publish import HTML, JSON, write_report

    grid = grids.Grid(
        features=grids.all_subsets(encoders.split(",") if encoders else grids.featurized(store))
        if all_subsets
        else grids.split_features(features),
        folds=grids.folds(folds, corpus, instances),
        seeds=grids.seeds(seeds),
        indicators=tuple(indicators.split(",")),
        contexts=tuple(contexts.split(",")),
        heads=tuple(training.pop("head").split(",")),
        corpus=corpus,
        instances=str(instances or ""),
        options=training,
    )
    if dry_run:
        _print_plan(grids.plan(grid, runs), as_json)
        return
    with grid_progress(grid) as progress:
        held = int(ram_budget * 1024**3)
        events = ablate(grid, store, runs, jobs=jobs, ram_budget=held, progress=progress)
    ablation = summarise_grid(grid, events, store, runs)
    write_report(ablation, store, out_folder, "cli " + shlex.join(sys.argv[1:]))
    if as_json:
        sys.stdout.write((out_folder / JSON).read_text(encoding="utf-8"))
    else:
        _print_ablation(ablation)
    err.print(_escape(f"report: {out_folder / HTML}"), soft_wrap=True)
    if ablation.failed:
        err.print("some cells failed; running the command again tries them again.")
        raise typer.Exit(3)


def _print_plan(plan: list[RowPlan], as_json: bool) -> None:
    if as_json:
        print_json(plan)
        return
    print_table(
        "Plan (nothing was run)",
        ["row", "cells", "complete", "to run"],
        [[p.name, str(p.cells), str(p.complete), str(p.cells - p.complete)] for p in plan],
    )


def _print_ablation(ablation: Ablation) -> None:
    from classifier.ablate.tables import tables, verdict

    for table in tables(ablation):
        print_table(table.title, list(table.header), [list(row) for row in table.rows])
    for sentence in verdict(ablation):
        out.print(_escape(sentence), soft_wrap=True)


@contextmanager
def grid_progress(grid: Grid) -> Iterator[Callable[[CellEvent], None]]:
    """Yield a callback that shows where a grid stands: a live table on a terminal, a line a finished cell elsewhere."""
    from classifier.ablate.board import HEADER, Board

    board = Board(grid)
    if not err.is_terminal:

        def on_log(event: CellEvent) -> None:
            if line := board.update(event):
                err.print(_escape(line), soft_wrap=True)

        yield on_log
        return
    from rich.live import Live

    def table() -> Table:
        drawn = Table(*HEADER)
        for line in board.lines():
            drawn.add_row(*map(_escape, line))
        return drawn

    with Live(table(), console=err, refresh_per_second=4) as live:

        def on_terminal(event: CellEvent) -> None:
            board.update(event)
            live.update(table())

        yield on_terminal


# --------------------------------------------------------------------------------------------------------- runs


RunNames = Annotated[list[Path], typer.Argument(metavar="RUN..", help="Folders of runs, or their names below --runs.")]


@runs_app.command("ls")
def runs_ls(runs: Runs = RUNS, as_json: AsJson = False) -> None:
    """List the runs: what they are, which folds are evaluated, mean F1."""
    from classifier.runs.overview import overview

    found = overview(runs)
    if as_json:
        print_json(found)
        return
    print_table(
        f"Runs in {runs}",
        ["run", "features", "corpus", "folds trained", "evaluated", "F1", "sd", "training"],
        [
            [
                r.folder.name,
                r.config.train.features,
                r.config.corpus,
                ",".join(map(str, r.trained)),
                ",".join(map(str, r.evaluated)),
                _percent(r.summary.f1 if r.summary else None),
                _percent(r.summary.f1_deviation if r.summary else None),
                _duration(r.seconds),
            ]
            for r in found
        ],
    )


@runs_app.command("show")
def runs_show(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run, or its name below --runs.")],
    runs: Runs = RUNS,
    as_json: AsJson = False,
) -> None:
    """Show a run: configuration, encoders, corpus, versions, and the figures of each fold."""
    from classifier.runs.overview import find_run, overview_of
    from classifier.runs.results import facts_of, results_of

    folder = find_run(run, runs)
    results = results_of(folder)
    if as_json:
        print_json({"run": overview_of(folder), "folds": results})
        return
    for result in results[:1]:
        print_facts(str(folder), facts_of(result))
    print_table(
        "Folds",
        ["fold", "P", "R", "F1", "dev F1", "epochs", "best", "training", "peak memory"],
        [
            [
                str(r.fold),
                *map(_percent, (r.metrics.micro.precision, r.metrics.micro.recall, r.metrics.micro.f1)),
                _percent(r.epochs[r.best_epoch - 1].dev_f1),
                str(len(r.epochs)),
                str(r.best_epoch),
                _duration(r.seconds),
                "-" if r.peak_memory is None else _size(r.peak_memory),
            ]
            for r in results
        ],
    )


@runs_app.command("compare")
def runs_compare(names: RunNames, runs: Runs = RUNS, as_json: AsJson = False) -> None:
    """Compare the first run with each other one: what differs, F1 fold by fold, and a paired test."""
    from classifier.runs.overview import compare_runs, find_run

    compared = compare_runs([find_run(name, runs) for name in names])
    if as_json:
        print_json(compared)
        return
    columns = [folder.name for folder in compared.folders]
    print_table("What differs", ["", *columns], [[name, *values] for name, values in compared.differing.items()])
    print_table(
        "F1",
        ["fold", *columns],
        [[str(fold), *map(_percent, scores)] for fold, scores in compared.scores.items()],
    )
    for folder, test in zip(compared.folders[1:], compared.tests, strict=True):
        p = "too few folds for a test" if test.p is None else f"p = {test.p:.3f}"
        out.print(
            _escape(
                f"{compared.folders[0].name} less {folder.name}: {100 * test.difference:+.2f} F1, {p} ({test.method}, "
                f"{test.pairs} pairs)"
            ),
            soft_wrap=True,
        )


# ------------------------------------------------------------------------------------------------------ extract


Encoders = Annotated[
    str, typer.Option("--encoders", help="NAME:PATH, separated by commas, for encoders other than the bundled ones.")
]
Fold = Annotated[int | None, typer.Option("--fold", help="Whose model to use (default: the first trained fold).")]


def _fold_dir(run: Path | None, fold: int | None) -> Path:
    from classifier.runs.config import latest_run, trained_folds

    folder = run or latest_run(RUNS)
    return folder / f"fold-{fold if fold is not None else (trained_folds(folder) or (1,))[0]}"


@app.command("extract")
def extract_command(
    sources: Annotated[
        list[Path], typer.Argument(metavar="INPUT..", help="Documents with entities, read one file after the other.")
    ],
    target: Annotated[Path, typer.Option("-o", "--output", help="Where the relations go.")],
    run: Run = None,
    fold: Fold = None,
    model: Annotated[Path | None, typer.Option(help="A model bundle (cli bundle) instead of a run.")] = None,
    source_format: Annotated[
        str | None, typer.Option("--format", help="Of the input (default: told from each file); README has the table.")
    ] = None,
    target_format: Annotated[str, typer.Option("--to", help="Of the output; README has the table.")] = "jsonl",
    threshold: Annotated[
        float | None, typer.Option(help="Keep a relation of at least this probability (default: likelier than none).")
    ] = None,
    top: Annotated[int | None, typer.Option(help="Of each document, the likeliest so many.")] = None,
    max_distance: Annotated[
        int | None, typer.Option(help="Pairs with at most so many tokens between the mentions.")
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Add the attention on each token.")] = False,
    encoders: Encoders = "",
    store: Annotated[
        str | None, typer.Option("--store", help="Read and keep vectors here (default: in memory only).")
    ] = None,
    threads: Annotated[int, typer.Option(help="Threads of the matrix products; more may be slower.")] = 1,
    device: EncoderDevice = "cpu",
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin anew, not where an interrupted one stopped.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a summary as JSON on stdout.")] = False,
) -> None:
    """Extract relations from documents, encoding on the way; an interrupted extraction goes on where it stopped."""
    from classifier.extract import Job, extract_files
    from classifier.extract.extractor import Extractor
    from classifier.extract.wanted import Wanted

    if model and (run or fold is not None):
        raise UsageError("--model is a whole model; leave --run and --fold out.")
    job = Job(sources, target, source_format, target_format, Wanted(threshold, top, max_distance, explain), fresh)
    specs = [spec for spec in encoders.split(",") if spec]
    extractor = Extractor.load(
        model or _fold_dir(run, fold), encoders=specs, store=store, threads=threads, device=device
    )
    with progress_bar("extracting", "documents") as progress:
        done = extract_files(extractor, job, report=_report_bad, progress=progress)
    if as_json:
        print_json(done)
    resumed = f" ({done.resumed_at:,} before)" if done.resumed_at else ""
    err.print(
        f"{done.documents:,} documents{resumed}, {done.pairs:,} pairs, {done.relations:,} relations -> "
        f"{_escape(str(target))}, {_duration(done.seconds)}",
        soft_wrap=True,
    )
    if done.bad:
        err.print(f"{done.bad:,} documents were bad and are not in the output.")
        raise typer.Exit(3)


def _report_bad(bad: BadDocument) -> None:
    where = f"{bad.where}: " if bad.where else ""
    err.print(f"[bold]skipped[/] {_escape(where)}document '{_escape(bad.id)}': {_escape(bad.why)}", soft_wrap=True)


@app.command("bundle")
def bundle_command(
    target: Annotated[Path, typer.Option("-o", "--output", help="The bundle's folder.")],
    run: Run = None,
    fold: Fold = None,
    encoders: Encoders = "",
    with_encoders: Annotated[
        bool, typer.Option("--with-encoders/--without-encoders", help="Copy the encoders, or name their identity only.")
    ] = True,
    licence: Annotated[str, typer.Option(help="Of the model, for its card: an SPDX name.")] = "other",
    as_json: AsJson = False,
) -> None:
    """Write one folder with a trained model, its encoders and its card, to use or to give away."""
    from classifier.extract.bundle import write_bundle

    specs = [spec for spec in encoders.split(",") if spec]
    files = write_bundle(_fold_dir(run, fold), target, encoders=specs, with_encoders=with_encoders, licence=licence)
    if as_json:
        print_json(files)
        return
    print_table(str(target), ["file", "size"], [[name, _size(size)] for name, size in files.items()])
    err.print(f"use it with: cli extract --model {_escape(str(target))} INPUT -o OUT", soft_wrap=True)


# --------------------------------------------------------------------------------------------------------- data


@data_app.command("check")
def data_check(
    corpus: Annotated[str, typer.Argument(metavar="CORPUS", help="As for --corpus.")] = "sample",
    instances: Instances = None,
    as_json: AsJson = False,
) -> None:
    """Count a corpus, prove its offsets, and look for test sentences in the training parts."""
    from featstore.corpora.audit import check_corpus

    report = check_corpus(corpus, instances=instances)
    if as_json:
        print_json(report.to_json())
    else:
        _print_report(report)


def _print_report(report: CorpusReport) -> None:
    columns = [*report.labels, "total"]
    print_table(
        f"{report.spec}: instances",
        ["part", *columns],
        [[part, *(f"{counts[c]:,}" for c in columns)] for part, counts in report.counts.items()],
    )
    tokens = report.tokens
    facts = {
        "digest": report.digest[:16],
        "distinct sentences": f"{report.sentences:,}",
        "tokens in them": f"{tokens.total:,}",
        "tokens a sentence": f"mean {tokens.mean}, median {tokens.p50}, 99 % below {tokens.p99}, longest {tokens.max}",
        "tokens over 50 characters": f"{tokens.long:,} (longest {tokens.longest})",
        "tokeniser, splitter": f"{report.tokeniser}, {report.splitter}",
    }
    if report.mentions:
        facts["mentions that equal their characters"] = f"{report.agreeing:,} of {report.mentions:,}"
    facts |= {note: f"{count:,}" for note, count in report.notes.items() if not note.startswith("mentions")}
    print_facts("Facts", facts)
    if report.leakage:
        print_table(
            "Test instances whose sentence stands in the training part",
            ["fold", "train", "test", "exactly", "nearly (Jaccard >= 0.8)", "with other labels only"],
            [
                [str(k.fold), f"{k.train:,}", f"{k.test:,}", f"{k.exact:,}", f"{k.near:,}", f"{k.other_label:,}"]
                for k in report.leakage
            ],
        )


@data_app.command("get")
def data_get(
    name: Annotated[str, typer.Argument(metavar="NAME", help="chemprot, gad or euadr.")],
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="A folder, a zip or tar archive, or an http(s) address of one (default: the official source).",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Bring a corpus to your data directory, where --corpus NAME finds it; structure and checksums are verified.

    Official sources: ChemProt from BioCreative VI (biocreative.bioinformatics.udel.edu, registration), GAD and
    EU-ADR from the archive of the BioBERT project (github.com/dmis-lab/biobert).
    """
    from featstore.corpora.get import get_corpus

    logging.basicConfig(stream=sys.stderr, format="%(levelname)s: %(message)s", level=logging.WARNING)
    with progress_bar(name, "bytes") as progress:
        folder = get_corpus(name, source, progress=progress)
    if as_json:
        print_json({"corpus": name, "folder": folder})
    else:
        out.print(_escape(str(folder)), soft_wrap=True)


# -------------------------------------------------------------------------------------------------------- store


@store_app.command("ls")
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


@store_app.command("info")
def store_info(
    name: Annotated[str, typer.Argument(help="An encoder's name; NAME@ID narrows to identities that begin so.")],
    store: Store = "features",
    as_json: AsJson = False,
) -> None:
    """Show what a feature set holds and the facts that its encoder's identity is made of."""
    found = _sets(store, name)
    if as_json:
        print_json(found)
        return
    for each in found:
        rows = {"path": each.path, "shards": f"{each.shards:,}", "sentences": f"{each.sentences:,}"}
        rows |= {key: str(value) for key, value in dataclasses.asdict(each.meta).items() if key != "facts"}
        rows |= {f"fact: {key}": json.dumps(value, ensure_ascii=False) for key, value in each.meta.facts.items()}
        print_facts(each.meta.name, rows)


SetName = Annotated[
    str, typer.Argument(metavar="NAME", help="An encoder's name; NAME@ID where there are several sets.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done; do nothing.")]


def _sets(store: str, name: str | None) -> list[SetInfo]:
    """The feature sets of that name, or all."""
    from featstore.errors import MissingFeatureError
    from featstore.stores import find_sets, list_sets

    found = find_sets(store, name) if name else list_sets(store)
    if not found:
        what = f"no feature set '{name}'" if name else "no feature set"
        raise MissingFeatureError(f"{store} has {what}; `cli store ls --store {store}` lists what is there.")
    return found


def _one_set(store: str, name: str) -> SetInfo:
    found = _sets(store, name)
    if len(found) > 1:
        several = ", ".join(f"{s.meta.name}@{s.meta.identity[:8]} ({s.meta.dtype}, {s.meta.backend})" for s in found)
        raise UsageError(f"{store} has several sets '{name}': {several}; narrow the name with @ID.")
    return found[0]


@store_app.command("du")
def store_du(store: Store = "features", as_json: AsJson = False) -> None:
    """Show what each feature set takes on the disk, and when it was last written to."""
    from featstore.stores.usage import usage

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
                _size(s.bytes),
                _size(s.leftover_bytes),
                f"{_duration(s.age)} ago",
            ]
            for s in sets
        ],
    )


@store_app.command("verify")
def store_verify(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="One encoder's sets (default: all).")] = None,
    store: Store = "features",
    as_json: AsJson = False,
) -> None:
    """Hold every byte against its checksum; damage is named by shard and sentence, and ends with exit code 5."""
    from featstore.errors import DamagedStoreError
    from featstore.stores.verify import verify

    results = []
    for each in _sets(store, name):
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
            out.print(_escape(f"{damage.shard}: {damage.what} ({len(damage.keys)} sentences: {keys})"), soft_wrap=True)
    if any(result.damages for result in results):
        raise DamagedStoreError("damage was found; `cli store repair NAME --corpus C` mends it.")


@store_app.command("repair")
def store_repair(
    name: SetName,
    corpus: Corpus = "sample",
    instances: Instances = None,
    context: Context = "tagged",
    indicators: Indicators = "tags",
    encoder: Annotated[str | None, typer.Option(help="NAME:PATH if the bundled encoder did not make the set.")] = None,
    precision: EncoderPrecision = "float32",
    device: EncoderDevice = "cpu",
    store: Store = "features",
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Set damaged shards aside and encode just their sentences again."""
    from featstore.corpora import load_corpus
    from featstore.featurize.encode import distinct_sentences
    from featstore.featurize.mend import mend

    chosen = _one_set(store, name)
    loaded = load_corpus(corpus, indicators=indicators, context=context, instances=instances)
    sentences = distinct_sentences(loaded.instances)
    with progress_bar(chosen.meta.name, "sentences") as progress:
        how: dict[str, Any] = {"precision": precision, "device": device, "dry_run": dry_run, "progress": progress}
        result = mend(chosen.path, sentences, encoder or chosen.meta.name, **how)
    if as_json:
        print_json(result)
    else:
        facts = {
            "shards set aside": ", ".join(result.repair.set_aside) or "none",
            "sentences saved from them": f"{result.repair.saved:,}",
            "sentences lost": f"{len(result.repair.lost):,}",
            "encoded again": f"{result.encoded:,}",
            "failed for want of memory": f"{result.failed:,}",
            "not in this corpus": f"{result.elsewhere:,}",
        }
        print_facts(f"{chosen.path}{' (nothing was done)' if dry_run else ''}", facts)
    if result.elsewhere or result.failed or result.repair.unreadable:
        err.print("some sentences are still missing; featurize their corpora again to have them back.", soft_wrap=True)
        raise typer.Exit(3)


@store_app.command("explain")
def store_explain(
    encoders: Annotated[str, typer.Option(help="As for featurize.")] = "glove,cse,elmo",
    precision: EncoderPrecision = "float32",
    device: EncoderDevice = "cpu",
    corpus: Corpus = "sample",
    instances: Instances = None,
    context: Context = "tagged",
    indicators: Indicators = "tags",
    store: Store = "features",
    as_json: AsJson = False,
) -> None:
    """Say whether featurizing would hit the store, and if not why, fact by fact."""
    from featstore.corpora import load_corpus
    from featstore.encoders import load_encoder
    from featstore.featurize.encode import distinct_sentences
    from featstore.stores.explain import explain

    loaded = load_corpus(corpus, indicators=indicators, context=context, instances=instances)
    keys = list(distinct_sentences(loaded.instances))
    how = {"precision": precision, "device": device}
    loaded_encoders = [load_encoder(spec, **how) for spec in _encoder_specs(encoders)]
    results = [explain(store, encoder.name, encoder.facts, keys) for encoder in loaded_encoders]
    if as_json:
        print_json(results)
        return
    for result in results:
        out.print(f"{result.name}: {result.verdict} ({result.sentences:,} sentences wanted of {result.identity[:16]})")
        for found in result.sets:
            out.print(f"  {Path(found.path).name}: has {found.stored:,}, lacks {found.missing:,}", soft_wrap=True)
            for difference in found.differences:
                out.print(
                    _escape(f"    {difference.fact}: wanted {difference.wanted}, found {difference.found}"),
                    soft_wrap=True,
                )


@store_app.command("gc")
def store_gc(
    unreferenced: Annotated[bool, typer.Option(help="Sets that no run below runs/ was trained on.")] = False,
    older_than: Annotated[float | None, typer.Option(help="Sets not written to for so many days.")] = None,
    quota: Annotated[float | None, typer.Option(help="The oldest sets, until the store takes so many GB.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without it the command says what would go.")] = False,
    store: Store = "features",
    as_json: AsJson = False,
) -> None:
    """Remove feature sets that meet all conditions given, and what dead writers left behind."""
    from classifier.runs.config import encoders_in_use
    from featstore.stores.usage import collect

    result = collect(
        store,
        keep=encoders_in_use(RUNS) if unreferenced else None,
        older_than=None if older_than is None else older_than * 86400,
        quota=None if quota is None else int(quota * 1e9),
        dry_run=not yes,
    )
    if as_json:
        print_json(result)
        return
    for removed in result.removed:
        out.print(_escape(f"{removed.path} ({_size(removed.bytes)})"), soft_wrap=True)
    for leftover in result.leftovers:
        out.print(_escape(leftover), soft_wrap=True)
    out.print(f"{_size(result.freed)} {'freed' if yes else 'would be freed (add --yes)'}, {_size(result.kept)} kept")


@store_app.command("convert")
def store_convert(
    name: SetName,
    backend: Annotated[str | None, typer.Option(help="hdf5 or zarr.")] = None,
    dtype: Annotated[str | None, typer.Option(help="float16, for a set in float32.")] = None,
    to: Annotated[str | None, typer.Option(help="Another store to write to (default: the same).")] = None,
    store: Store = "features",
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Store a feature set once more in another backend or dtype, one shard at a time; the old set stays."""
    from featstore.stores.rewrite import convert

    chosen = _one_set(store, name)
    with progress_bar(chosen.meta.name, "shards") as progress:
        result = convert(chosen.path, to or store, backend=backend, dtype=dtype, dry_run=dry_run, progress=progress)
    if as_json:
        print_json(result)
    else:
        out.print(
            _escape(f"{result.source} -> {result.target}: {result.sentences:,} sentences, {result.shards:,} shards"),
            soft_wrap=True,
        )


@store_app.command("view")
def store_view(
    name: SetName,
    dims: Annotated[int, typer.Option(help="Columns of each layer.")],
    method: Annotated[str, typer.Option(help="pca: principal components; random: random directions.")] = "pca",
    store: Store = "features",
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Store a feature set once more in fewer columns, as NAME-pcaK; name it in --features like any other."""
    from featstore.stores.views import make_view

    chosen = _one_set(store, name)
    with progress_bar(chosen.meta.name, "shards") as progress:
        result = make_view(chosen.path, store, dims, method=method, dry_run=dry_run, progress=progress)
    if as_json:
        print_json(result)
    else:
        out.print(
            _escape(
                f"{result.name}: {result.columns[0]:,} -> {result.columns[1]:,} columns, {result.variance:.1%} of the "
                f"variance, {result.sentences:,} sentences ({result.target})"
            ),
            soft_wrap=True,
        )


@store_app.command("compact")
def store_compact(name: SetName, store: Store = "features", dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Merge many small shards into few."""
    from featstore.stores.rewrite import compact

    chosen = _one_set(store, name)
    with progress_bar(chosen.meta.name, "shards") as progress:
        result = compact(chosen.path, dry_run=dry_run, progress=progress)
    if as_json:
        print_json(result)
    else:
        out.print(f"{result.merged:,} shards -> {result.made:,}; {result.doubles:,} sentences were stored twice")


@store_app.command("export")
def store_export(
    name: SetName,
    bundle: Annotated[Path, typer.Option("-o", "--output", help="The bundle to write.")],
    store: Store = "features",
    as_json: AsJson = False,
) -> None:
    """Write a feature set to one file with a manifest and checksums: keys and vectors, no text."""
    from featstore.stores.bundle import export_bundle

    chosen = _one_set(store, name)
    with progress_bar(chosen.meta.name, "shards") as progress:
        result = export_bundle(chosen.path, bundle, progress=progress)
    _print_bundled(result, as_json)


@store_app.command("import")
def store_import(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE")],
    store: Store = "features",
    backend: Annotated[str | None, typer.Option(help="hdf5 or zarr (default: as it was).")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check the whole bundle; store nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Store the vectors of a bundle that are not stored yet; every checksum is verified."""
    from featstore.stores.bundle import import_bundle

    with progress_bar(bundle.name, "shards") as progress:
        result = import_bundle(bundle, store, backend=backend, dry_run=dry_run, progress=progress)
    _print_bundled(result, as_json)


def _print_bundled(result: Bundled, as_json: bool) -> None:
    if as_json:
        print_json(result)
    else:
        out.print(
            _escape(f"{result.bundle} <-> {result.path}: {result.sentences:,} sentences, {result.tokens:,} tokens"),
            soft_wrap=True,
        )


@store_app.command("inspect")
def store_inspect(
    name: SetName,
    instance: Annotated[str | None, typer.Option("--id", help="Of an instance (default: the first).")] = None,
    corpus: Corpus = "sample",
    instances: Instances = None,
    context: Context = "tagged",
    indicators: Indicators = "tags",
    store: Store = "features",
    as_json: AsJson = False,
) -> None:
    """Show one sentence: tokens, offsets, where its vectors lie, and their norms."""
    from featstore.corpora import load_corpus
    from featstore.stores.inspect import inspect

    loaded = load_corpus(corpus, indicators=indicators, context=context, instances=instances)
    found = next((i for i in loaded.instances if instance in (None, i.id)), None)
    if found is None:
        raise UsageError(f"{corpus} has no instance '{instance}'; the first is '{loaded.instances[0].id}'.")
    view = inspect(_one_set(store, name).path, found.key)
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


# ----------------------------------------------------------------------------------------------------- pretrain


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
    return f"{p.per_second:,.0f}/s, {_duration(p.seconds_left)} left{held_out}"


@pretrain_app.command("cse")
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


@pretrain_app.command("elmo")
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


@pretrain_app.command("glove")
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
    out.print(_escape(f"{folder}: trained ({folder / 'README.md'} is the model card); {use}"), soft_wrap=True)


def main() -> None:
    """Run the program; every error that a user can mend ends in one message and its documented exit code."""
    signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    try:
        # Typer turns a KeyboardInterrupt into the exit code 130.
        code = typer.main.get_command(app).main(prog_name="cli", standalone_mode=False) or 0
        if code == INTERRUPTED:
            message = "interrupted; what was finished is kept, running the command again goes on from there."
            err.print(message, soft_wrap=True)
        sys.exit(code)
    except _USAGE_ERROR as error:
        error.show()
        sys.exit(UsageError.exit_code)
    except FeatstoreError as error:
        fail(error, error.exit_code)
    except MemoryError:
        fail(MemoryError("out of memory."), ResourceError.exit_code)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            fail(error, ResourceError.exit_code)
        raise


if __name__ == "__main__":
    main()
