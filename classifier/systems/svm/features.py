"""The features of a pair: what the SVMs read of one instance, as names.

In: an instance. Out: for each family of features the names of those that the pair has. The tags are taken away first
and the mentions are found by their spans, so both contexts give the same names. The label, the ids, the fold and the
source are never looked at.

The list of features of Bhasuran and Natarajan (2018) is not public in full; these are ours, by the families that their
paper names:

- *surface*: the mentions as written, their words, beginnings and ends, shape and length, alone and as a pair.
- *lexical*: words and their stems, one to three in a row, before, between and after the pair, and in the sentence.
- *pattern*: the words next to the mentions with their places, and paths between them in which content words are
  replaced by a class (trigger, number, name, ending), with gaps. It takes the place of parse trees.
- *distance*: how far apart the mentions are, their order, where in the sentence they stand, punctuation between them.
- *trigger*: classes of trigger words and negations, their side of the pair, the nearest ones, and both together.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from classifier.systems.svm.words import FUNCTION_WORDS, is_negation, trigger_classes
from featstore.errors import DataError
from featstore.records import Instance

FAMILIES = ("surface", "lexical", "pattern", "distance", "trigger")
_MOST_BETWEEN = 12  # words between the pair up to which the whole path is a feature
_NEAR = 3  # words around a mention whose place is a feature
_STEP = (0, 1, 2, 3, 5, 8, 12, 20, 40)  # the bounds of the classes of distances
_SIDES = ("before", "between", "after")


@dataclass(frozen=True, slots=True)
class UntaggedPair:
    """A sentence without tags, and the pair in it.

    Attributes:
        tokens: the words as written.
        words: the words in small letters, with 0 for each digit.
        rows: the row of each word in the vectors of the instance's tokens.
        head: half-open span of the first argument in ``tokens``.
        tail: the same for the second argument.
    """

    tokens: tuple[str, ...]
    words: tuple[str, ...]
    rows: tuple[int, ...]
    head: tuple[int, int]
    tail: tuple[int, int]

    @property
    def head_first(self) -> bool:
        """Whether the head begins first; of two that begin together, the longer counts as first."""
        return (self.head[0], -self.head[1]) <= (self.tail[0], -self.tail[1])

    @property
    def sides(self) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
        """The half-open spans before, between and after the pair; mentions that touch or overlap have none between."""
        first, second = (self.head, self.tail) if self.head_first else (self.tail, self.head)
        end = max(first[1], second[1])
        return (0, first[0]), (min(first[1], second[0]), second[0]), (end, len(self.tokens))


def pair_of(instance: Instance) -> UntaggedPair:
    """Return the sentence of an instance without its tags.

    Raises:
        DataError: a mention's span holds no word of the sentence.
    """
    tags = {f"<{mark}{kind}>" for kind in (instance.head_type, instance.tail_type) for mark in ("", "/")}
    kept, before = [], [0]
    for row in instance.layout:
        if row >= 0 and instance.tokens[row] not in tags:
            kept.append(row)
        before.append(len(kept))
    spans = []
    for start, end in (instance.head, instance.tail):
        if not 0 <= start < end < len(before) or before[start] == before[end]:
            raise DataError(f"instance '{instance.id}' has a mention at steps {start}-{end}, where no word stands.")
        spans.append((before[start], before[end]))
    tokens = tuple(instance.tokens[row] for row in kept)
    return UntaggedPair(tokens, tuple(_small(token) for token in tokens), tuple(kept), spans[0], spans[1])


def features_of(pair: UntaggedPair) -> dict[str, list[str]]:
    """Return the names of a pair's features by family, each once and in the order of the alphabet."""
    makers = {
        "surface": _surface(pair),
        "lexical": _lexical(pair),
        "pattern": _pattern(pair),
        "distance": _distance(pair),
        "trigger": _trigger(pair),
    }
    return {family: sorted(set(names)) for family, names in makers.items()}


def _surface(pair: UntaggedPair) -> Iterator[str]:
    texts = []
    for role, (start, end) in (("head", pair.head), ("tail", pair.tail)):
        words = [_stem(word) for word in pair.words[start:end]]
        text = " ".join(pair.tokens[start:end])
        small = text.lower()
        texts.append(small)
        yield f"{role}={small}"
        yield f"{role} last={words[-1]}"
        yield f"{role} shape={_shape(text)}"
        yield f"{role} words={_bin(end - start)}"
        yield f"{role} characters={_bin(len(text))}"
        yield from (f"{role} has={word}" for word in words)
        padded = f"^{small}$"
        yield from (f"{role} grams={padded[i : i + n]}" for n in (3, 4, 5) for i in range(len(padded) - n + 1))
    yield f"pair={texts[0]}|{texts[1]}"


def _lexical(pair: UntaggedPair) -> Iterator[str]:
    stems = _masked_stems(pair)
    yield from (f"sentence {gram}" for gram in _grams(stems, (1, 2)))
    for side, (start, end) in zip(_SIDES, pair.sides, strict=True):
        yield from (f"{side} {gram}" for gram in _grams(stems[start:end], (1, 2, 3)))
        if end == start:
            yield f"{side} nothing"


def _pattern(pair: UntaggedPair) -> Iterator[str]:
    stems, classes = _masked_stems(pair), _classes(pair)
    order = "head..tail" if pair.head_first else "tail..head"
    for role, (start, end) in (("head", pair.head), ("tail", pair.tail)):
        for step in range(1, _NEAR + 1):
            for name, place in (("-", start - step), ("+", end + step - 1)):
                word = stems[place] if 0 <= place < len(stems) else "|"
                yield f"{role} {name}{step}={word}"
        yield f"{role} left={' '.join(stems[max(start - 2, 0) : start])}"
        yield f"{role} right={' '.join(stems[end : end + 2])}"
    start, end = pair.sides[1]
    path, words = classes[start:end], stems[start:end]
    if len(path) <= _MOST_BETWEEN:
        yield f"{order} path={' '.join(path)}"
        yield f"{order} words={' '.join(words)}"
    yield from (f"{order} {gram}" for gram in _grams(path, (2, 3, 4)))
    kept = [word for word, kind in zip(words, path, strict=True) if kind.startswith("*") or word in FUNCTION_WORDS]
    yield from (f"{order} {a} .. {b}" for i, a in enumerate(kept[:_MOST_BETWEEN]) for b in kept[i + 1 : i + 4])
    triggers = [kind for kind in path if kind.startswith("*")]
    yield f"{order} triggers={' '.join(triggers[:4])}"


def _distance(pair: UntaggedPair) -> Iterator[str]:
    start, end = pair.sides[1]
    between = pair.words[start:end]
    yield "order=head first" if pair.head_first else "order=tail first"
    yield f"between={_bin(end - start)}"
    yield f"length={_bin(len(pair.tokens))}"
    yield f"before={_bin(pair.sides[0][1])}"
    yield f"after={_bin(len(pair.tokens) - pair.sides[2][0])}"
    for mark in (",", ";", ":", "(", ")", "/", "-", "and", "or", "but", "which", "that"):
        if mark in between:
            yield f"holds {mark} {min(between.count(mark), 3)}"
    names = sum(_is_name(token) for token in pair.tokens[start:end])
    yield f"names between={_bin(names)}"
    yield f"names={_bin(sum(_is_name(token) for token in pair.tokens))}"


def _trigger(pair: UntaggedPair) -> Iterator[str]:
    denied = {side: _denials(pair, span) for side, span in zip(_SIDES, pair.sides, strict=True)}
    for side, (start, end) in zip(_SIDES, pair.sides, strict=True):
        kinds = [kind for word in pair.words[start:end] for kind in trigger_classes(word)]
        yield from (f"{side} {kind}" for kind in kinds)
        yield from (f"sentence {kind}" for kind in kinds)
        if denied[side]:
            yield f"{side} denied"
            yield from (f"{side} denied {kind}" for kind in kinds)
            yield from (f"{side} {word}" for word in denied[side])
    if not any(denied.values()):
        yield "nothing denied"
    for role, (start, end) in (("head", pair.head), ("tail", pair.tail)):
        for name, places in (("left", range(start - 1, -1, -1)), ("right", range(end, len(pair.words)))):
            nearest = next((k for place in places for k in trigger_classes(pair.words[place])[:1]), "none")
            yield f"{role} {name}={nearest}"


def _denials(pair: UntaggedPair, span: tuple[int, int]) -> list[str]:
    return [word for word in pair.words[slice(*span)] if is_negation(word)]


def _masked_stems(pair: UntaggedPair) -> list[str]:
    """Return a stem for each word, and the name of the argument for each word of a mention."""
    stems = [_stem(word) for word in pair.words]
    for name, (start, end) in (("TAIL", pair.tail), ("HEAD", pair.head)):
        stems[start:end] = [name] * (end - start)
    return stems


def _classes(pair: UntaggedPair) -> list[str]:
    """Return a class for each word: itself if it is a function word, its trigger, or what it looks like."""
    return [_class(token, word) for token, word in zip(pair.tokens, pair.words, strict=True)]


def _grams(words: Sequence[str], sizes: Iterable[int]) -> Iterator[str]:
    for size in sizes:
        yield from (" ".join(words[i : i + size]) for i in range(len(words) - size + 1))


@lru_cache(maxsize=65536)
def _class(token: str, word: str) -> str:
    if word in FUNCTION_WORDS or is_negation(word):
        return word
    if kinds := trigger_classes(word):
        return f"*{kinds[0]}"
    if word.strip("0.,%") == "":
        return "0"
    if not any(map(str.isalpha, word)):
        return word
    if _is_name(token):
        return "NAME"
    ending = next(
        (end for end in ("ing", "ed", "ly", "tion", "ity", "ase", "in", "ic", "al", "s") if _ends(word, end)), ""
    )
    return f"-{ending}"


def _ends(word: str, ending: str) -> bool:
    return len(word) > len(ending) + 2 and word.endswith(ending)


@lru_cache(maxsize=65536)
def _is_name(token: str) -> bool:
    """Whether a word looks like a gene's name or an abbreviation: a capital after the first letter, or a digit."""
    return any(map(str.isupper, token[1:])) or (token[:1].isalpha() and any(map(str.isdigit, token)))


@lru_cache(maxsize=65536)
def _small(token: str) -> str:
    return re.sub(r"\d", "0", token.lower())


@lru_cache(maxsize=65536)
def _stem(word: str) -> str:
    """Return a word without the common endings of its inflection; a rough stem."""
    for ending in (
        "ations",
        "ation",
        "ingly",
        "ings",
        "ing",
        "ions",
        "ion",
        "edly",
        "ies",
        "ed",
        "es",
        "ive",
        "s",
        "e",
    ):
        if len(word) - len(ending) >= 4 and word.endswith(ending) and not word.endswith("ss"):
            return word[: len(word) - len(ending)]
    return word


@lru_cache(maxsize=65536)
def _shape(text: str) -> str:
    kinds = "".join("A" if c.isupper() else "a" if c.isalpha() else "0" if c.isdigit() else c for c in text)
    return re.sub(r"(.)\1+", r"\1", kinds)[:20]


def _bin(number: int) -> str:
    return str(max(bound for bound in _STEP if bound <= number))
