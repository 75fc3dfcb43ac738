"""Systems in the words of ``--systems``: ``head:glove; bert:DIR precision=bfloat16; spinn trees=right``.

In: text. Out: the features of each head, and each other system with its options. A word names a system; what stands
behind its colon is the option that matters most to it (``SPEC`` of its options), and ``NAME=VALUE`` sets any other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, get_type_hints

from classifier.runs.facts import Scalar
from classifier.systems.contract import SystemOptions
from classifier.systems.table import find_system, system_names
from classifier.training.config import HEAD
from featstore.errors import UsageError, check_choice

_TRUTH = {"yes": True, "true": True, "no": False, "false": False}


@dataclass(frozen=True, slots=True)
class SystemWord:
    """A system other than the head, as ``--systems`` names it.

    Attributes:
        name: of the system.
        options: those that take the place of its defaults.
    """

    name: str
    options: tuple[tuple[str, Scalar], ...] = ()


def split_systems(text: str) -> tuple[tuple[str, ...], tuple[SystemWord, ...]]:
    """Read ``--systems``.

    Returns:
        the features of the heads, and the other systems.

    Raises:
        UsageError: no such system, no such option, or a value that is none.
    """
    heads, others = [], []
    for word in filter(None, map(str.strip, text.split(";"))):
        name, _, features = word.partition(":")
        if name == HEAD:
            if not features.strip():
                raise UsageError(
                    "--systems names 'head' without features; write head:FEATURES, for instance head:glove."
                )
            heads.append(features.strip())
        else:
            others.append(_system(word))
    return tuple(heads), tuple(others)


def _system(word: str) -> SystemWord:
    """Read ``NAME``, ``NAME:VALUE`` and what follows them."""
    first, *rest = word.split()
    name, colon, value = first.partition(":")
    check_choice("--systems", name, system_names())
    kind: type[SystemOptions] = find_system(name).options
    types, given = get_type_hints(kind), dict[str, Scalar]()
    known = [each.name for each in fields(kind) if each.name != "seed"]
    if colon:
        if not kind.SPEC:
            raise UsageError(f"--systems names '{first}', but nothing may stand behind the colon of '{name}'.")
        given[kind.SPEC] = first if kind.SPEC_IS_WHOLE else value
    for pair in rest:
        option, equals, said = pair.partition("=")
        option = option.replace("-", "_")
        if not equals or option not in known:
            raise UsageError(
                f"'{pair}' in --systems is no option of '{name}'; write OPTION=VALUE, of {', '.join(known)}."
            )
        given[option] = _typed(types[option], said, pair)
    return SystemWord(name, tuple(given.items()))


def _typed(kind: Any, text: str, pair: str) -> Scalar:
    """Return a text as a value of an option's type."""
    try:
        if kind is bool:
            return _TRUTH[text.lower()]
        value: Scalar = kind(text)
        return value
    except (KeyError, ValueError) as error:
        wanted: Mapping[Any, str] = {bool: "yes or no", int: "a whole number", float: "a number"}
        raise UsageError(f"'{pair}' in --systems needs {wanted[kind]}.") from error
