"""The entity types that are tagged, and the names that corpora give them.

In: a type as a corpus or a document spells it. Out: ``CHEMICAL``, ``GENE`` or ``DISEASE``, or None for any other. The
synonyms are those of :mod:`featstore.types`.
"""

from __future__ import annotations

from featstore.types import kind_of, shown

TYPES = ("CHEMICAL", "GENE", "DISEASE")
_KINDS = ("chem", "gene", "dise")


def tagged_type(type_: str) -> str | None:
    """Return the type that a tagger gives to what a corpus calls ``type_``; None if it tags no such thing."""
    kind = kind_of(type_, _KINDS)
    return None if kind is None else shown(kind)
