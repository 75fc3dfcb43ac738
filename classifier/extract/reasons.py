"""Why a document has no relations: what a user should know before blaming the model.

In: a document, what the model pairs, and how many pairs there were. Out: the first of four reasons that holds, in
words that name both sides.
"""

from __future__ import annotations

from enum import StrEnum

from classifier.extract.wanted import Wanted
from featstore.documents import Document
from featstore.errors import count_of
from featstore.formats.contract import Nothing
from featstore.pairing import Pairing
from featstore.types import kind_of

_LOOKED_AT = 10_000  # characters


class Reason(StrEnum):
    """The reasons, in the order in which they are looked for."""

    NO_MENTIONS = "no mentions"
    OTHER_TYPES = "no pair of the model's types"
    APART = "no pair in one sentence"
    BELOW = "all pairs below the threshold"


# Those that say that the documents are not what the model was made for; the others are to be expected.
UNLIKE_THE_MODEL = (Reason.NO_MENTIONS, Reason.OTHER_TYPES)


def why_nothing(document: Document, pairing: Pairing, wanted: Wanted, pairs: int) -> Nothing:
    """Return why a document has no relations.

    Args:
        document: the document, with the types that it came with.
        pairing: the model's types of pairs.
        wanted: the options of extraction.
        pairs: how many candidates were scored.
    """
    skipped = f", and {count_of(document.unread, 'sentence')} can hardly hold a pair and were not read"
    rest = skipped if document.unread else ""
    if not document.entities:
        foreign = "; its letters are hardly Latin, and the models read English"
        why = f"the document has no mentions{foreign if _is_foreign(document.text) else ''}{rest}."
        return Nothing(Reason.NO_MENTIONS, why)
    if pairs:
        unlikely = 'have "no relation" as their most probable label'
        low = unlikely if wanted.threshold is None else f"are below the threshold of {wanted.threshold}"
        return Nothing(Reason.BELOW, f"all its pairs ({pairs:,}) {low}{rest}.")
    types = dict.fromkeys(entity.type for entity in document.entities)
    present = {kind_of(type_, pairing.types, dict(wanted.types)) for type_ in types}
    if not any({head, tail} <= present for head, tail in pairing.kinds):
        why = f"the model relates {pairing.in_words}; the document has {', '.join(types)}{rest}."
        return Nothing(Reason.OTHER_TYPES, why)
    apart = (
        "" if wanted.max_distance is None else f" with at most {count_of(wanted.max_distance, 'token')} between them"
    )
    return Nothing(Reason.APART, f"no {pairing.in_words} lie in one sentence{apart}{rest}.")


def _is_foreign(text: str) -> bool:
    """Tell whether most letters of a text are none of the English alphabet."""
    letters = sum(map(str.isalpha, text[:_LOOKED_AT]))
    return 2 * sum(c.isascii() and c.isalpha() for c in text[:_LOOKED_AT]) < letters
