"""How much one request may ask for, and how much may wait."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds that keep one client from taking the server from the others.

    Attributes:
        body_bytes: of a request's body that is read whole; a stream of JSON lines may be longer.
        documents: in a request that is answered whole.
        document_characters: of one document's text.
        waiting_characters: of all texts that wait for the model; beyond it the answer is 503.
        batch_characters: of the texts that are worked on together.
        seconds: for which a request may send its body, and then wait for its answer.
    """

    body_bytes: int = 8_000_000
    documents: int = 500
    document_characters: int = 200_000
    waiting_characters: int = 4_000_000
    batch_characters: int = 100_000
    seconds: float = 120.0
