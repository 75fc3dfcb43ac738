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

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

CONFIG_FILE = Path("featstore.toml")
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


@contextmanager
def progress_bar(what: str, unit: str) -> Iterator[Callable[[int, int], None]]:
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

            def on_terminal(done: int, total: int) -> None:
                rate = done / max(1e-9, time.monotonic() - start)
                bar.update(task, completed=done, total=total, rate=f"{rate:,.0f} {unit}/s")

            yield on_terminal
        return
    last = start

    def on_log(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= SECONDS_BETWEEN_LINES or done == total:
            last = now
            rate = done / max(1e-9, now - start)
            left = (total - done) / max(1e-9, rate)
            err.print(f"{what}: {done:,}/{total:,} {unit}, {rate:,.0f}/s, {_duration(left)} left", soft_wrap=True)

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
