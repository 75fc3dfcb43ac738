"""All commands and their options, as the program itself knows them, for tests that go over every one."""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import typer

import cli

# In a message a command stands between backticks, or after a colon up to the end of the line.
_PROPOSAL = re.compile(r"`(cli [^`]+)`|: (cli .+)$", re.MULTILINE)

# A colour, a line break, a title for the window, a mark that turns the direction of writing, a byte that is no UTF-8.
HOSTILE = "x\x1b[31m\n\x1b]0;y\x07\u202ez\x9b1m\udcff"
_ACTING = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def is_harmless(printed: str) -> bool:
    """Whether no terminal would act on what was printed."""
    return not _ACTING.search(printed)


def proposed(text: str) -> list[str]:
    """The commands that a message proposes; what follows && is one more."""
    found = [one or two for one, two in _PROPOSAL.findall(text)]
    return [part.strip() for each in found for part in each.split("&&")]


@dataclass(frozen=True)
class Option:
    """An option or argument of a command.

    Attributes:
        path: the words that call the command.
        parameter: as the parser knows it.
        kind: the type of its values: str, int, float, bool or Path.
    """

    path: tuple[str, ...]
    parameter: Any
    kind: type

    @property
    def name(self) -> str:
        return str(self.parameter.name)

    @property
    def is_argument(self) -> bool:
        return bool(self.parameter.param_type_name == "argument")

    @property
    def is_many(self) -> bool:
        return bool(self.parameter.multiple or self.parameter.nargs == -1)

    def words(self, value: str) -> list[str]:
        """The words that give the option a value."""
        return [value] if self.is_argument else [max(self.parameter.opts, key=len), value]

    def __str__(self) -> str:
        return f"{' '.join(self.path)} {max(self.parameter.opts, key=len)}"


def root() -> Any:
    return typer.main.get_command(cli.assemble())


def leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """All commands, with the words that call each."""
    for name, below in command.commands.items():
        if hasattr(below, "commands"):
            yield from leaves(below, (*path, name))
        else:
            yield (*path, name), below


def all_options() -> list[Option]:
    """All options and arguments of all commands, but --help."""
    found: list[Option] = []
    for path, command in leaves(root()):
        signature = inspect.signature(command.callback, eval_str=True)
        found += [
            Option(path, parameter, _kind(signature.parameters[parameter.name].annotation))
            for parameter in command.params
            if parameter.name in signature.parameters
        ]
    return found


def _kind(annotation: Any) -> type:
    """The plain type in ``Annotated[list[X] | None, ..]``."""
    if typing.get_origin(annotation) is typing.Annotated:
        return _kind(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) in (types.UnionType, typing.Union, list):
        return _kind(next(each for each in typing.get_args(annotation) if each is not type(None)))
    return typing.cast(type, annotation)
