"""Plain data, as JSON and TOML hold it, to typed values.

In: numbers, words, lists and tables that may come from anywhere, and the dataclass that they should be. Out: that
dataclass with every field of its declared type, or one error that names the field, what it holds and what it must
hold. The way back is :func:`dataclasses.asdict`.

A field that has a default may be missing. A member that is no field is refused, unless the class says in ``REMOVED``
that it was a field once: it may then have the value there, at which it did nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from functools import lru_cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from featstore.errors import DataError, UsageError, did_you_mean

T = TypeVar("T")
_NAMES = {
    NoneType: "empty",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    tuple: "a list",
    Mapping: "a table",
}
_LONGEST_SHOWN = 60  # characters of a value in a message


def from_plain(kind: type[T], given: object, where: str) -> T:
    """Return ``given`` as a ``kind``.

    Args:
        kind: a dataclass whose fields are numbers, texts, booleans, tuples, mappings from texts, unions with None, such
            dataclasses, or ``object``, which is plain data of any kind.
        given: plain data.
        where: what the data is, for the message.

    Raises:
        DataError: a field that is missing or of another type, a member that is no field, or values that the dataclass
            refuses.
    """
    try:
        return cast(T, _value(kind, given, ""))
    except _Wrong as error:
        raise DataError(f"{where}: {error}.") from error


class _Wrong(Exception):
    """A value that is not what it must be."""

    def __init__(self, path: str, what: str) -> None:
        super().__init__(f"'{path}' {what}" if path else f"it {what}")


def _value(kind: Any, given: object, path: str) -> object:
    """Return ``given`` as a ``kind``, which is a type as annotations spell it."""
    origin = get_origin(kind) or kind
    if origin is object:
        return given
    if origin in (Union, UnionType):
        return _one_of(get_args(kind), given, path)
    if is_dataclass(origin):
        return _dataclass(kind, given, path)
    if origin is tuple:
        return _tuple(get_args(kind), given, path)
    if origin in (Mapping, dict):
        if not isinstance(given, Mapping) or not all(isinstance(name, str) for name in given):
            raise _unlike(Mapping, given, path)
        return {name: _value(get_args(kind)[1], value, _below(path, name)) for name, value in given.items()}
    if origin is float and type(given) is int:
        return float(given)
    if type(given) is not origin:
        raise _unlike(origin, given, path)
    return given


def _one_of(kinds: Sequence[Any], given: object, path: str) -> object:
    """Return ``given`` as the first of several types that it can be: a union of plain types, or of one and None."""
    if given is None and NoneType in kinds:
        return None
    others = [kind for kind in kinds if kind is not NoneType]
    for kind in others:
        try:
            return _value(kind, given, path)
        except _Wrong:
            if len(others) == 1:
                raise
    raise _Wrong(path, f"must be {' or '.join(_NAMES.get(get_origin(k) or k, str(k)) for k in kinds)}{_got(given)}")


def _tuple(kinds: tuple[Any, ...], given: object, path: str) -> tuple[object, ...]:
    if not isinstance(given, list | tuple):
        raise _unlike(tuple, given, path)
    if kinds[-1] is Ellipsis:
        kinds = kinds[:1] * len(given)
    if len(given) != len(kinds):
        raise _Wrong(path, f"must hold {len(kinds)} values, not {len(given)}")
    return tuple(_value(kind, item, f"{path}[{n}]") for n, (kind, item) in enumerate(zip(kinds, given, strict=True)))


def _dataclass(kind: type, given: object, path: str) -> object:
    if not isinstance(given, Mapping):
        raise _unlike(Mapping, given, path)
    hints, removed = _hints(kind), getattr(kind, "REMOVED", {})
    values = {}
    for name, value in given.items():
        if name in hints:
            values[name] = _value(hints[name], value, _below(path, str(name)))
        elif name not in removed:
            raise _Wrong(_below(path, str(name)), f"is not known here.{did_you_mean(str(name), tuple(hints))}")
        elif value != removed[name]:
            raise _Wrong(_below(path, name), f"is {value!r}, and this version knows only {removed[name]!r}")
    for field in fields(kind):
        if field.name not in values and field.default is MISSING and field.default_factory is MISSING:
            raise _Wrong(_below(path, field.name), "is missing")
    try:
        return kind(**values)
    except UsageError as error:  # of values that go through no command line
        raise _Wrong(path, f"cannot be used: {str(error).rstrip('.')}") from error


@lru_cache(maxsize=256)
def _hints(kind: type) -> dict[str, object]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _unlike(kind: type, given: object, path: str) -> _Wrong:
    return _Wrong(path, f"must be {_NAMES.get(kind, kind.__name__)}{_got(given)}")


def _got(given: object) -> str:
    shown = repr(given)
    return f", not {shown[:_LONGEST_SHOWN]}{' ..' if len(shown) > _LONGEST_SHOWN else ''}"
