"""Options in groups: a command receives a frozen dataclass in place of a dozen arguments that it only passes on.

In: a command with a parameter whose annotation is a dataclass; each field of the dataclass is annotated as an option
of Typer. Out: the same command with an option for each field. What reads a group (its defaults, its checks, the value
of the library that it makes) is a method of the group, and the command's body is short.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any, get_type_hints


def with_option_groups(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command an option for each field of every dataclass among its parameters."""
    own, groups = [], {}
    for parameter in inspect.signature(command, eval_str=True).parameters.values():
        if is_dataclass(parameter.annotation) and isinstance(parameter.annotation, type):
            groups[parameter.name] = parameter.annotation
        else:
            own.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
    members = {name: _parameters(group) for name, group in groups.items()}
    parameters = [*own, *(parameter for each in members.values() for parameter in each)]

    @functools.wraps(command)
    def call(**given: Any) -> None:
        values = {p.name: given[p.name] for p in own}
        for name, group in groups.items():
            values[name] = group(**{p.name: given[p.name] for p in members[name]})
        command(**values)

    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {p.name: p.annotation for p in parameters}
    del call.__wrapped__  # Typer would look through it
    return call


def _parameters(group: type) -> list[inspect.Parameter]:
    """Return the option of each field."""
    kinds = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=kinds[field.name]
        )
        for field in fields(group)
    ]
