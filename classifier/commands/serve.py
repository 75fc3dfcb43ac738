"""``cli serve``: the page in the browser and its JSON API."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Annotated

import typer

from classifier.commands.options import RUNS, Fold, Runs, fold_dir
from featstore.commands.console import err, escape
from featstore.commands.options import Commands, EncoderDevice, given
from featstore.errors import ResourceError, UsageError

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def serve_command(
    called: typer.Context,
    model: Annotated[
        list[Path] | None,
        typer.Option(
            "--model",
            help="Folder of a model, as `cli bundle` makes it, or of a trained fold, or the name of a model that comes "
            "with featstore (`cli models ls`). Repeat for several. By default all that come with featstore are served.",
        ),
    ] = None,
    run: Annotated[
        str | None,
        typer.Option(
            "--run", envvar="FEATSTORE_RUN", help="Serve the model of a run: its folder, or its name below --runs."
        ),
    ] = None,
    runs: Runs = RUNS,
    fold: Fold = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on. With 0.0.0.0 every computer of your network can connect.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on. 0 takes a free one.")] = 8000,
    threads: Annotated[int, typer.Option(min=1, help="Number of threads of the matrix products.")] = 1,
    device: EncoderDevice = "cpu",
) -> None:
    """Serve a page in the browser, where relations are extracted from text that you paste, and a JSON API.

    The page is at the printed address, the description of the API at /openapi.json. Ctrl-C finishes what runs and ends
    the server.
    """
    try:
        import uvicorn
    except ImportError as error:
        raise UsageError("cli serve needs more packages; run: pip install 'featstore[serve]'") from error

    from classifier.extract.extractor import Extractor
    from classifier.extract.models import installed_models, model_folder
    from classifier.serve import Limits, Service, create_app

    folders = [model_folder(named) for named in model or ()]
    if given(called, ("run", "runs", "fold")) or (run is not None and not model):
        folders.append(fold_dir(run, runs, fold))
    folders = folders or [installed.path for installed in installed_models() if installed.task == "relations"]
    if not folders:
        raise UsageError("no model is installed; give --model with a model's folder (cli bundle makes one), or --run.")
    extractors = [Extractor.load(folder, threads=threads, device=device) for folder in folders]
    models = {extractor.facts.name: extractor for extractor in extractors}
    if len(models) < len(extractors):
        raise UsageError("two of the models have the same name; rename the folder of one of them.")
    limits = Limits()
    app = create_app(Service(models, limits), limits=limits, hosts=LOOPBACK if host in LOOPBACK else ("*",))
    with _listener(host, port) as listener:
        shown = f"[{host}]" if ":" in host else host
        address = f"http://{shown}:{listener.getsockname()[1]}/"
        err.print(escape(f"the page is at {address} (Ctrl-C ends the server)"), soft_wrap=True)
        uvicorn.Server(uvicorn.Config(app, access_log=False, log_level="warning")).run([listener])


def _listener(host: str, port: int) -> socket.socket:
    """Return a socket that listens at an address."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise ResourceError(
            f"{host}:{port} cannot be used ({error.strerror or error}); is another server running there? Name another "
            "port, or let --port 0 take a free one."
        ) from error


COMMANDS: Commands = {"serve": serve_command}
