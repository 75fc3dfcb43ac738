"""The limits of one request and of the queue."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits that keep one client from blocking the server for the others.

    Attributes:
        body_bytes: largest size of a request's body that is read whole; a stream of JSON lines may be longer.
        documents: largest number of documents in a request that is answered whole.
        document_characters: largest length of one document's text.
        waiting_characters: largest total length of the texts that wait for the model; beyond it the answer is 503.
        batch_characters: largest total length of the texts that are processed together.
        seconds: longest time in which a request may send its body, and then wait for its answer.
    """

    body_bytes: int = 8_000_000
    documents: int = 500
    document_characters: int = 200_000
    waiting_characters: int = 4_000_000
    batch_characters: int = 100_000
    seconds: float = 120.0
