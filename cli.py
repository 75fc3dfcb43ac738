"""The command line: ``featstore/commands`` and ``classifier/commands`` put together; settings and exit codes.

In: arguments, the environment (``FEATSTORE_*``) and ``featstore.toml`` of the current folder, in this order of
precedence. Out: data on stdout (tables, or JSON with ``--json``), progress and log on stderr, and an exit code:
0 done, 2 usage, 3 finished with skipped items, 4 bad data, 5 damaged or mismatched store, 6 out of disk or
memory, 130 interrupted after a clean flush. Whatever is heavy is imported inside the command that needs it, so
that ``cli --help`` is there at once.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from classifier.commands import ablate, bundle, entities, evaluate, extract, gc, models, runs, serve, train
from featstore.commands import data, featurize, pretrain, store, upkeep
from featstore.commands.console import fail, out, tell
from featstore.commands.exits import (
    EXIT_CODES,
    INTERRUPTED,
    check_words,
    ending,
    quiet_without_reader,
    say_what_was_given,
)
from featstore.commands.options import Commands
from featstore.commands.settings import defaults_from_file
from featstore.errors import UsageError

# The commands in the order of the help; a group is a title and its commands.
COMMANDS: Commands = {
    **featurize.COMMANDS,
    **train.COMMANDS,
    **evaluate.COMMANDS,
    **ablate.COMMANDS,
    **extract.COMMANDS,
    **bundle.COMMANDS,
    **serve.COMMANDS,
}
GROUPS: dict[str, tuple[str, Commands]] = {
    "data": ("Fetch a corpus and look at it.", data.COMMANDS),
    "store": ("List, check, mend, convert and copy stored vectors.", store.COMMANDS | upkeep.COMMANDS | gc.COMMANDS),
    "pretrain": ("Train encoders on text of your own.", pretrain.COMMANDS),
    "models": ("Look at the models that come with featstore.", models.COMMANDS),
    "runs": ("List runs and compare them.", runs.COMMANDS),
    "entities": ("Train and use the tagger, which finds the mentions in plain text.", entities.COMMANDS),
}
# What the parser raises for a wrong command line. Typer brings its own copy of click and exports only the leaves of
# click's family of errors, so the base is taken from a leaf.
_USAGE_ERROR: Any = typer.BadParameter.__mro__[2]


def _show_version(wanted: bool) -> None:
    if wanted:
        from featstore.version import __version__

        out.print(f"featstore {__version__}")
        raise typer.Exit


def configure(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Relation extraction from biomedical text. Encoders compute their vectors once; they are kept in a store."""
    del version  # its callback has done the work
    context.default_map = defaults_from_file(getattr(context.command, "commands", {}))


def assemble() -> typer.Typer:
    """Put the commands and their groups together."""
    app = typer.Typer(
        callback=configure,
        no_args_is_help=True,
        epilog=EXIT_CODES,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for name, command in COMMANDS.items():
        app.command(name, epilog=EXIT_CODES)(quiet_without_reader(command))
    for name, (title, commands) in GROUPS.items():
        group = typer.Typer(help=title, no_args_is_help=True)
        for of_group, command in commands.items():
            group.command(of_group, epilog=EXIT_CODES)(quiet_without_reader(command))
        app.add_typer(group, name=name)
    return app


def main() -> None:
    """Run the program; every error that a user can mend ends in one message and its documented exit code."""
    signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    try:
        check_words(sys.argv[1:])
        # Typer turns a KeyboardInterrupt into the exit code 130.
        code = typer.main.get_command(assemble()).main(prog_name=_program(), standalone_mode=False) or 0
        if code == INTERRUPTED:
            tell("interrupted; what was finished is kept, running the command again goes on from there.")
        sys.exit(code)
    except _USAGE_ERROR as error:
        say_what_was_given(error).show()
        sys.exit(UsageError.exit_code)
    except Exception as error:
        if found := ending(error):
            fail(error, *found)
        raise


def _program() -> str:
    """Return the name by which the program was called."""
    name = Path(sys.argv[0]).name
    return name if name in ("cli", "featstore") else "cli"


if __name__ == "__main__":
    main()
