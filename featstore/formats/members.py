"""One JSON object: its members, each of the type that its schema names.

In: a line of JSON, or a value that was read from one. Out: the members, or a :class:`~featstore.formats.content.Flaw`
that says what was found and what is allowed. Both kinds of JSONL are read with it: documents
(:mod:`featstore.formats.jsonl`) and marked pairs (:mod:`featstore.corpora.jsonl`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from featstore.formats.content import Flaw

# What a marked pair has, which no document has together.
PAIR: Mapping[str, type] = {"text": str, "head": dict, "tail": dict}
# What both kinds of line say of a mention.
MENTION: Mapping[str, type] = {"type": str, "start": int, "end": int}
WORDS: Mapping[type, str] = {str: "a string", int: "a whole number", list: "a list", dict: "a JSON object"}
_SHOWN = 60  # characters of a value that a message shows


def load_json(text: str) -> Any:
    """Return the value of a JSON text.

    Raises:
        Flaw: it is not JSON, nested too deeply to be read, or has a member twice, of which one would be lost.
    """
    try:
        return json.loads(text, object_pairs_hook=_each_once)
    except (ValueError, RecursionError) as error:
        raise Flaw(f"not JSON: {error}.") from error


def repeated(members: Sequence[tuple[str, Any]]) -> str:
    """Return what is wrong with the members of an object of which one is given twice; empty if none is."""
    names = [name for name, _ in members]
    twice = next((name for name in names if names.count(name) > 1), None)
    return "" if twice is None else f"the member '{twice[:_SHOWN]}' is given twice in an object; one is wanted."


def _each_once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) < len(members):
        raise Flaw(repeated(members))
    return found


def members_of(
    what: str, given: object, required: Mapping[str, type], optional: Mapping[str, type] | None = None
) -> dict[str, Any]:
    """Return the members of an object; an optional one that is null is left out, as if it were not there.

    Args:
        what: what the object is, for messages, such as "the document".
        given: the object.
        required: the members that it must have, each with its type.
        optional: those that it may have.

    Raises:
        Flaw: it is no object, lacks a member, has one of another type, or has one that the schema does not name.
    """
    if not isinstance(given, dict):
        raise Flaw(f"{what} is {json.dumps(given)[:_SHOWN]}; a JSON object is wanted.")
    for name in required:
        if name not in given:
            raise Flaw(f"{what} has no '{name}'; {', '.join(required)} are needed.")
    allowed = {**required, **(optional or {})}
    for name, value in given.items():
        if name not in allowed:
            raise Flaw(f"{what} has a member '{name}'; allowed are {', '.join(allowed)}.")
        if type(value) is not allowed[name] and (value is not None or name in required):
            shown = json.dumps(value)[:_SHOWN]
            raise Flaw(f"'{name}' of {what} is {shown}; {WORDS[allowed[name]]} is wanted.")
    return {name: value for name, value in given.items() if value is not None}
