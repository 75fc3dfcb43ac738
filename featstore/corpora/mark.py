"""Marking: one pair in one sentence to the two sequences that encoders and head see.

In: a tokenised sentence and the two mentions. Out: the marked part of an :class:`~featstore.records.Instance`. The
indicators (tags around the mentions, or one word in place of each) say *what* is inserted; the context (tagged: the
encoders see it; sentence: a learned vector stands for it) says *where*. Hence two steps: ``_with_tags`` or
``_replaced`` cuts the sentence into pieces, and ``mark`` lays the pieces out for the context.

With ``blind`` a noun first takes the place of every mention of the pair's two types (``blinded``: entity blinding),
and tags mark the pair among them. The encoders then read ``the chemical inhibits gene`` in either context, instead of
names that they have never seen, and all pairs of a sentence still share one text.

Overlapping mentions are common (a chemical's name inside a gene's). Tags nest: the longer mention is outside; of two
equal spans the head is; mentions that cross keep each tag at its own edge. Replaced, the two words stand side by side
in place of all that the two mentions cover, in the order of their starts (at one start the longer first, of two equal
spans the head).

Some corpora (GAD) are released with a word such as ``@GENE$`` in place of each mention. Other text is made like them by
``masked``: the pair is first replaced by its words, and the words are then marked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from featstore.corpora.text import Sentence, Span
from featstore.errors import DataError, check_choice

INDICATORS = ("tags", "replace", "blind")
CONTEXTS = ("tagged", "sentence")
_INSERTED: Span = (-1, -1)
_NOUNS = {"chem": "chemical", "dise": "disease"}  # of types whose tag is no word


@dataclass(frozen=True, slots=True)
class Marking:
    """How pairs are marked.

    Attributes:
        indicators: ``tags``, ``replace`` or ``blind``.
        context: ``tagged`` or ``sentence``.
        masked: whether the words of the mentions stand in their place before they are marked.

    Raises:
        UsageError: another word.
    """

    indicators: str = "tags"
    context: str = "tagged"
    masked: bool = False

    def __post_init__(self) -> None:
        check_choice("indicators", self.indicators, INDICATORS)
        check_choice("context", self.context, CONTEXTS)


@dataclass(frozen=True, slots=True)
class Mention:
    """A mention of a sentence.

    Attributes:
        span: its characters in the text.
        type: its type as the tags spell it (``gene``).
        word: the word that replaces it as a member of the pair (``@GENE$``).
    """

    span: Span
    type: str
    word: str


@dataclass(frozen=True, slots=True)
class Marked:
    """The fields of an Instance that marking decides; see :class:`~featstore.records.Instance`."""

    tokens: tuple[str, ...]
    layout: tuple[int, ...]
    tags: tuple[str, ...]
    head: Span
    tail: Span
    offsets: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class _Inserted:
    """A word that the text has not, and the characters it stands for."""

    word: str
    offset: Span = _INSERTED


# A run of the sentence's tokens (empty at times), or an inserted word.
_Piece = Span | _Inserted


def mark(sentence: Sentence, head: Mention, tail: Mention, marking: Marking, others: Sequence[Mention] = ()) -> Marked:
    """Mark a pair.

    Args:
        sentence: the tokens.
        head, tail: the pair.
        marking: how.
        others: the mentions that lie in the sentence, the pair too or not; only ``blind`` asks for them.

    Raises:
        DataError: a mention of the pair holds no token of the sentence.
    """
    if marking.masked:
        return _mark_masked(sentence, head, tail, replace(marking, masked=False))
    for mention in (head, tail):
        start, end = sentence.find(mention.span)
        if start == end:
            raise DataError(f"the mention at characters {mention.span[0]}-{mention.span[1]} holds no word.")
    if marking.indicators == "blind":
        same = [other for other in others if other.type in (head.type, tail.type)]
        sentence = blinded(sentence, [head, tail, *same])
    lay = _replaced if marking.indicators == "replace" else _with_tags
    h, t = sentence.meeting(head.span), sentence.meeting(tail.span)
    pieces, head_span, tail_span = lay(head, tail, h, t, len(sentence.tokens))
    if marking.context == "tagged":
        tokens, offsets = _inserted(sentence, pieces)
        return Marked(tokens, tuple(range(len(tokens))), (), head_span, tail_span, offsets)
    layout, tags = _laid_out(pieces)
    return Marked(sentence.tokens, layout, tags, head_span, tail_span, sentence.offsets)


def blinded(sentence: Sentence, mentions: Sequence[Mention]) -> Sentence:
    """Return a sentence with the noun for its type in place of each mention: ``chem`` is ``chemical``.

    Of mentions that overlap the earlier is replaced, of those that begin together the longer, of equal ones that whose
    type comes first in the alphabet: not the pair's, so that all pairs of a sentence share the nouns. A noun's
    characters are its mention's. A mention without a token stays away.
    """
    found = [(sentence.find(mention.span), mention) for mention in mentions]
    pieces: list[_Piece] = []
    position = 0
    for (start, end), mention in sorted(found, key=lambda each: (each[0][0], -each[0][1], each[1].type)):
        if position <= start < end:
            pieces += [(position, start), _Inserted(_NOUNS.get(mention.type, mention.type), mention.span)]
            position = end
    return Sentence(*_inserted(sentence, [*pieces, (position, len(sentence.tokens))]))


def _mark_masked(sentence: Sentence, head: Mention, tail: Mention, marking: Marking) -> Marked:
    """Mark a pair in the sentence that has its words in place of the mentions."""
    masked = mark(sentence, head, tail, Marking("replace", "tagged"))
    # Positions serve as characters, so that each word is found again even where the two mentions overlap.
    plain = Sentence(masked.tokens, tuple((i, i + 1) for i in range(len(masked.tokens))))
    marked = mark(plain, replace(head, span=masked.head), replace(tail, span=masked.tail), marking)
    offsets = (_INSERTED if place == _INSERTED else masked.offsets[place[0]] for place in marked.offsets)
    return replace(marked, offsets=tuple(offsets))


def _with_tags(head: Mention, tail: Mention, h: Span, t: Span, length: int) -> tuple[list[_Piece], Span, Span]:
    """Return the pieces with four tags, and where the two mentions stand between theirs."""
    edges = []
    for rank, mention, (start, end) in ((0, head, h), (1, tail, t)):
        # At one place what ends comes before what begins; the inner ends first, the outer begins first.
        edges.append((start, 1, -end, rank, f"<{mention.type}>"))
        edges.append((end, 0, -start, -rank, f"</{mention.type}>"))
    edges.sort()
    pieces: list[_Piece] = []
    inner: list[list[int]] = [[], []]
    position = 0
    for inserted, (place, begins, _, rank, word) in enumerate(edges):
        pieces += [(position, place), _Inserted(word)]
        inner[abs(rank)].append(place + inserted + begins)
        position = place
    pieces.append((position, length))
    return pieces, (inner[0][0], inner[0][1]), (inner[1][0], inner[1][1])


def _replaced(head: Mention, tail: Mention, h: Span, t: Span, length: int) -> tuple[list[_Piece], Span, Span]:
    """Return the pieces with one word for each mention, and where the two words stand."""
    mentions = sorted(((h, 0, head), (t, 1, tail)), key=lambda m: (m[0][0], -m[0][1], m[1]))
    ((start, end), rank, first), ((next_start, next_end), _, second) = mentions
    gap = (end, max(end, next_start))  # empty where the two overlap
    pieces: list[_Piece] = [
        (0, start),
        _Inserted(first.word, first.span),
        gap,
        _Inserted(second.word, second.span),
        (max(end, next_end), length),
    ]
    next_place = start + 1 + gap[1] - gap[0]
    spans = [(start, start + 1), (next_place, next_place + 1)]
    return pieces, spans[rank], spans[1 - rank]


def _inserted(sentence: Sentence, pieces: Sequence[_Piece]) -> tuple[tuple[str, ...], tuple[Span, ...]]:
    """Return tokens and offsets with the inserted words among them."""
    tokens: list[str] = []
    offsets: list[Span] = []
    for piece in pieces:
        if isinstance(piece, _Inserted):
            tokens.append(piece.word)
            offsets.append(piece.offset)
        else:
            tokens += sentence.tokens[slice(*piece)]
            offsets += sentence.offsets[slice(*piece)]
    return tuple(tokens), tuple(offsets)


def _laid_out(pieces: list[_Piece]) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Return the layout over the plain sentence, and the names of its learned vectors."""
    layout: list[int] = []
    tags: list[str] = []
    for piece in pieces:
        if isinstance(piece, _Inserted):
            layout.append(-1 - len(tags))
            tags.append(piece.word)
        else:
            layout += range(*piece)
    return tuple(layout), tuple(tags)
