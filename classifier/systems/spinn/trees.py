"""Binary trees over the words of an instance, as shift-reduce transitions.

In: a bracketing such as ``( ( bc6entc inhibits ) bc6entg )`` or a number of leaves. Out: a :class:`Tree`. Nothing here
recurses, so the depth of a tree has no limit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SHIFT, REDUCE = 0, 1
_SHOWN = 60  # characters of a broken tree that an error shows

Transitions = NDArray[np.int8]


class TreeError(ValueError):
    """A bracketing that is not a binary tree; the text says what was found."""


@dataclass(frozen=True, slots=True, eq=False)
class Tree:
    """A strictly binary tree.

    Attributes:
        words: its leaves from left to right, n of them.
        transitions: ``SHIFT`` for a leaf and ``REDUCE`` for an inner node, in postorder. Shape: (2n - 1,).
    """

    words: tuple[str, ...]
    transitions: Transitions


def parse_tree(text: str) -> Tree:
    """Read a bracketing whose brackets and words are separated by blanks.

    Raises:
        TreeError: the brackets do not balance, or a bracket does not hold exactly two elements.
    """
    words: list[str] = []
    moves: list[int] = []
    held = [0]  # elements of each open bracket; the first is the whole text
    for symbol in text.split():
        if symbol == "(":
            held.append(0)
            continue
        if symbol != ")":
            words.append(symbol)
            moves.append(SHIFT)
        else:
            if len(held) == 1:
                raise TreeError(f"there is a closing bracket too many after {len(words)} words ({_shown(text)})")
            if held[-1] != 2:
                raise TreeError(
                    f"the bracket that ends after word {len(words)} holds {held[-1]} elements instead of 2 "
                    f"({_shown(text)})"
                )
            held.pop()
            moves.append(REDUCE)
        held[-1] += 1
    if len(held) > 1:
        brackets = "bracket is" if len(held) == 2 else "brackets are"
        raise TreeError(f"{len(held) - 1} {brackets} never closed ({_shown(text)})")
    if held[0] != 1:
        raise TreeError(f"there are {held[0]} trees instead of 1 ({_shown(text)})")
    return Tree(tuple(words), np.array(moves, np.int8))


def right_branching(words: Sequence[str]) -> Tree:
    """Return the tree ``(w1 (w2 (w3 ..)))``: the words are read from the right, and nothing is known of the syntax."""
    size = len(_checked(words))
    return Tree(tuple(words), np.repeat(np.array([SHIFT, REDUCE], np.int8), (size, size - 1)))


def balanced(words: Sequence[str]) -> Tree:
    """Return the tree that halves the words again and again; the left half is the larger one where they differ."""
    moves: list[int] = []
    todo = [(len(_checked(words)), False)]
    while todo:
        size, finished = todo.pop()
        if size == 1 or finished:
            moves.append(REDUCE if finished else SHIFT)
        else:
            todo += [(size, True), (size // 2, False), (size - size // 2, False)]
    return Tree(tuple(words), np.array(moves, np.int8))


def _checked(words: Sequence[str]) -> Sequence[str]:
    if not words:
        raise TreeError("an instance without words has no tree")
    return words


def _shown(text: str) -> str:
    return f"'{text}'" if len(text) <= _SHOWN else f"'{text[:_SHOWN]}..'"
