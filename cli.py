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
import json
import logging
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
    from collections.abc import Callable

    from classifier.report import Summary
    from classifier.runs import Evaluation, Notice, RunConfig
    from classifier.train import Epoch
    from featstore.corpora.audit import CorpusReport
    from featstore.records import Corpus as LoadedCorpus

app = typer.Typer(
    help="Relation extraction from biomedical text with encoders whose vectors are computed once and kept.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
data_app = typer.Typer(help="Bring a corpus here and look at it.", no_args_is_help=True)
store_app = typer.Typer(help="Look after the stored vectors.", no_args_is_help=True)
app.add_typer(data_app, name="data")
app.add_typer(store_app, name="store")

# Where stdout is a file or a pipe there is no width to fit; rows must not be broken.
out = Console(highlight=False, width=None if sys.stdout.isatty() else 200)
err = Console(stderr=True, highlight=False)

CONFIG_FILE = Path("featstore.toml")
RUNS = Path("runs")
SECONDS_BETWEEN_LINES = 5.0

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
        "plain, and the head learns a vector for each indicator.",
    ),
]
Indicators = Annotated[
    str,
    typer.Option(
        "--indicators",
        envvar="FEATSTORE_INDICATORS",
        help="tags: <gene> .. </gene> round the pair; replace: one word in place of each mention.",
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


def _configured(group: Any, settings: dict[str, Any], path: str) -> dict[str, Any]:
    """Turn ``featstore.toml`` into click's default map: top-level keys reach every command that has the option."""
    import click

    defaults: dict[str, Any] = {}
    shared = {key: value for key, value in settings.items() if not isinstance(value, dict)}
    for name, command in group.commands.items():
        own = settings.get(name, {})
        if isinstance(command, click.Group):
            defaults[name] = _configured(command, {**shared, **own}, f"{path}{name}.")
            continue
        options = {parameter.name for parameter in command.params}
        for key in own:
            if key not in options:
                raise UsageError(f"{CONFIG_FILE}: [{path}{name}] has no option '{key}'; see `cli {name} --help`.")
        defaults[name] = {key: value for key, value in {**shared, **own}.items() if key in options}
    return defaults


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
        context.default_map = _configured(context.command, settings, "")


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
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Forecast time and space; write nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Encode the sentences of a corpus that the store does not hold yet."""
    from featstore.corpora import load_corpus
    from featstore.featurize import distinct_sentences
    from featstore.featurize import featurize as run
    from featstore.forecast import forecast

    loaded = load_corpus(corpus, indicators=indicators, context=context, instances=instances)
    sentences = distinct_sentences(loaded.instances)
    results: list[Any] = []
    for spec in _encoder_specs(encoders):
        if dry_run:
            results.append(
                forecast(sentences, spec, root=store, dtype=dtype, backend=backend, instances=len(loaded.instances))
            )
            continue
        with progress_bar(spec, "sentences") as progress:
            results.append(run(sentences, spec, root=store, dtype=dtype, backend=backend, progress=progress))
    if as_json:
        print_json(results)
    elif dry_run:
        _print_forecast(results)
    else:
        _print_featurized(results, store)


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
        ["encoder", "sentences", "were there", "encoded", "tokens/s", "time"],
        [
            [
                f.encoder,
                f"{f.sentences:,}",
                f"{f.stored:,}",
                f"{f.encoded:,}",
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


@app.command("train")
def train_command(
    features: Annotated[
        str, typer.Option(help="What the head reads: names joined by +; elmo[top], elmo[avg], elmo[0]; NAME@ID.")
    ] = "glove+cse+elmo",
    corpus: Corpus = "sample",
    fold: Annotated[int, typer.Option(help="The fold to train; 1 for a corpus with one released split.")] = 1,
    run: Run = None,
    store: Store = "features",
    context: Context = "tagged",
    indicators: Indicators = "tags",
    instances: Instances = None,
    head: Annotated[str, typer.Option(help="paper: Hiai et al. 2021, eq. 1-10.")] = "paper",
    seed: Annotated[int, typer.Option(help="Of the weights, the order of the batches and dropout.")] = 1,
    optimizer: Annotated[str, typer.Option(help="sgd (the paper's) or adamw.")] = "sgd",
    lr: Annotated[float, typer.Option(help="Learning rate at the start; 0.001 suits adamw.")] = 0.1,
    batch_size: Annotated[int, typer.Option(help="Instances in a batch.")] = 32,
    hidden: Annotated[int, typer.Option(help="Hidden units of each direction.")] = 256,
    dropout: Annotated[float, typer.Option(help="On the inputs and before the output layer.")] = 0.0,
    standardise: Annotated[
        bool, typer.Option("--standardise", help="Centre and scale each input column over the training part.")
    ] = False,
    max_epochs: Annotated[int, typer.Option(help="At most so many epochs.")] = 100,
    patience: Annotated[int, typer.Option(help="Epochs without improvement before the learning rate is halved.")] = 3,
    precision: Annotated[str, typer.Option(help="Of the matrix products: float32 or bfloat16.")] = "float32",
    threads: Annotated[int, typer.Option(help="Threads of the matrix products.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Train the head on stored vectors."""
    from classifier.runs import RunConfig, run_name, train_fold
    from classifier.train import TrainConfig

    config = RunConfig(
        corpus=corpus,
        indicators=indicators,
        context=context,
        instances=str(instances or ""),
        train=TrainConfig(
            features=features,
            head=head,
            seed=seed,
            optimizer=optimizer,
            lr=lr,
            batch_size=batch_size,
            hidden=hidden,
            dropout=dropout,
            standardise=standardise,
            max_epochs=max_epochs,
            patience=patience,
            precision=precision,
            threads=threads,
        ),
    )
    folder = run or RUNS / run_name(config)
    checkpoint = train_fold(_load(config), store, config, fold, folder, progress=_report_epoch)
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


def _load(config: RunConfig) -> LoadedCorpus:
    from featstore.corpora import load_corpus

    return load_corpus(
        config.corpus,
        indicators=config.indicators,
        context=config.context,
        instances=Path(config.instances) if config.instances else None,
    )


def _report_epoch(event: Epoch | Notice) -> None:
    """Show an epoch as a line; a terminal shows only every new best one and the last besides the first few."""
    from classifier.train import Epoch

    if not isinstance(event, Epoch):
        err.print(_escape(event.text), soft_wrap=True)
        return
    err.print(
        f"epoch {event.number}: loss {event.train_loss:.4f}, dev loss {event.dev_loss:.4f}, "
        f"dev F1 {_percent(event.dev_f1)}{' *' if event.best else ''}, lr {event.lr:g}, {event.seconds:.1f} s",
        soft_wrap=True,
    )


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
    as_json: AsJson = False,
) -> None:
    """Evaluate a run on the test part of a fold; a fold that is not trained yet is trained first."""
    from classifier.report import summarise
    from classifier.runs import evaluate_fold, latest_run, read_config

    if fold is not None and folds is not None:
        raise UsageError("--fold and --folds are both given; give one of them.")
    folder = run or latest_run(RUNS)
    config = read_config(folder)
    corpus = _load(config)
    wanted = _folds(fold, folds, corpus, folder)
    if predictions and len(wanted) > 1:
        raise UsageError(f"--predictions takes one fold, {len(wanted)} were asked for; add --fold.")
    evaluations = [evaluate_fold(corpus, store, config, each, folder, progress=_report_epoch) for each in wanted]
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
                "summary": summary,
            }
        )
        return
    _print_evaluations(config.train.features, corpus, evaluations, summary)


def _folds(fold: int | None, folds: str | None, corpus: LoadedCorpus, folder: Path) -> tuple[int, ...]:
    """The folds that are asked for; those that are trained if none is."""
    from classifier.runs import trained_folds

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
    from classifier.checkpoint import write_atomically
    from classifier.outputs import chemprot_tsv, predictions_tsv

    if corpus.name == "chemprot":
        text = chemprot_tsv(evaluation.instances, evaluation.predictions, corpus.labels, corpus.positive)
    else:
        text = predictions_tsv(evaluation.instances, evaluation.predictions, corpus.labels)
    write_atomically(path, text.encode("utf-8"))


def _print_evaluations(features: str, corpus: LoadedCorpus, evaluations: list[Evaluation], summary: Summary) -> None:
    rows = [
        [f"fold {e.fold}", *map(_percent, (e.metrics.micro.precision, e.metrics.micro.recall, e.metrics.micro.f1))]
        for e in evaluations
    ]
    if len(evaluations) > 1:
        rows.append(["mean", *map(_percent, (summary.precision, summary.recall, summary.f1))])
        rows.append(["sd", "", "", _percent(summary.f1_deviation)])
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


# ------------------------------------------------------------------------------------------------------ extract


@app.command("extract")
def extract_command(
    source: Annotated[Path, typer.Argument(metavar="INPUT.jsonl", help="Pairs: text, head, tail a line (README).")],
    target: Annotated[Path, typer.Option("-o", "--output", help="Where the relations go, one JSON object a line.")],
    run: Run = None,
    fold: Annotated[int | None, typer.Option(help="Whose model to use (default: the first trained fold).")] = None,
    encoders: Annotated[
        str, typer.Option(help="NAME:PATH, separated by commas, for encoders other than the bundled ones.")
    ] = "",
    store: Annotated[
        str | None, typer.Option("--store", help="Read and keep vectors here (default: in memory only).")
    ] = None,
) -> None:
    """Classify the pairs of a file with a trained run, encoding on the way."""
    from classifier.extract import extract_file
    from classifier.runs import latest_run, trained_folds

    folder = run or latest_run(RUNS)
    trained = trained_folds(folder)
    fold_dir = folder / f"fold-{fold if fold is not None else (trained or (1,))[0]}"
    specs = [spec for spec in encoders.split(",") if spec]
    with progress_bar("encoding", "sentences") as progress:
        count = extract_file(fold_dir, source, target, encoders=specs, store_root=store, progress=progress)
    err.print(f"{count:,} pairs -> {_escape(str(target))}", soft_wrap=True)


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
    facts |= {note: f"{count:,}" for note, count in report.notes.items()}
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
    from featstore.errors import MissingFeatureError
    from featstore.stores import find_sets

    found = find_sets(store, name)
    if not found:
        raise MissingFeatureError(f"{store} has no feature set '{name}'; `cli store ls --store {store}` lists them.")
    if as_json:
        print_json(found)
        return
    for each in found:
        rows = {"path": each.path, "shards": f"{each.shards:,}", "sentences": f"{each.sentences:,}"}
        rows |= {key: str(value) for key, value in dataclasses.asdict(each.meta).items() if key != "facts"}
        rows |= {f"fact: {key}": json.dumps(value, ensure_ascii=False) for key, value in each.meta.facts.items()}
        print_facts(each.meta.name, rows)


def main() -> None:
    """Run the program; every error that a user can mend ends in one message and its documented exit code."""
    import click

    signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    try:
        sys.exit(typer.main.get_command(app).main(prog_name="cli", standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        err.print("interrupted; what was finished is kept, running the command again goes on from there.")
        sys.exit(130)
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
