"""Vectors of sentences as they are met: encoded once for all models that read them.

In: encoders, and a store or none. Out: feature sets that hold the sentences asked for. Without a store the vectors are
in memory until :meth:`Encoding.forget`; a tagger and a relation head that read the same encoder in between find the
same set, so that a sentence that both read is encoded once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType

from classifier.data.features import FeatureSpec
from featstore.encoders import Encoder
from featstore.errors import UsageError
from featstore.featurize.encode import encode_missing
from featstore.featurize.forecast import feature_meta
from featstore.featurize.threads import running_threads
from featstore.stores import MEMORY, FeatureStore, create_store, find_sets

MOST_TOKENS = 131072  # held in memory: with all encoders that come with featstore 500 MB of vectors
_Key = tuple[str, str]  # identity of the encoder, dtype


class Encoding:
    """Encoders at work; a context manager that closes the store's sets.

    Args:
        encoders: the encoders.
        store: a store to read vectors from and to keep them in; None: they are kept in memory only.
        threads: threads of the encoders.

    Raises:
        UsageError: fewer threads than one.
    """

    def __init__(self, encoders: Iterable[Encoder], *, store: str | None = None, threads: int = 1) -> None:
        if threads < 1:
            raise UsageError(f"{threads} threads were asked for; at least 1 is needed.")
        self._store, self._threads = store, threads
        self._encoders: dict[str, Encoder] = {}
        self._sets: dict[_Key, FeatureStore] = {}
        self._held: set[bytes] = set()
        self._tokens = 0
        self.include(encoders)

    def __enter__(self) -> Encoding:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for each in self._sets.values():
            each.close()
        self._sets = {}

    def fill(
        self, sentences: Mapping[bytes, Sequence[str]], specs: Sequence[FeatureSpec]
    ) -> tuple[list[FeatureStore], set[bytes]]:
        """Return for each of ``specs`` a set that holds ``sentences``, and the keys that memory had no room for.

        What else is in memory is let go of first, if it would be too much with these.
        """
        new = sum(len(tokens) for key, tokens in sentences.items() if key not in self._held)
        if self._tokens + new > MOST_TOKENS:
            self.forget()
            new = sum(map(len, sentences.values()))
        self._held.update(sentences)
        self._tokens += new
        filled, lost = [], set()
        with running_threads(self._threads):
            for spec in specs:
                encoder = self._encoders[spec.identity]
                own = self._set(spec, encoder)
                lost |= set(encode_missing(sentences, encoder, own))
                filled.append(own)
        return filled, lost

    def forget(self) -> None:
        """Let go of the vectors in memory; those in a store stay."""
        self._held, self._tokens = set(), 0
        if self._store is None:
            self._sets = {}

    def include(self, encoders: Iterable[Encoder]) -> None:
        """Add encoders; of two of the same identity the first stays."""
        for encoder in encoders:
            self._encoders.setdefault(encoder.identity, encoder)

    def _set(self, spec: FeatureSpec, encoder: Encoder) -> FeatureStore:
        """Return the set of an encoder and a dtype, which is opened or made when it is first asked for."""
        key = spec.identity, spec.dtype
        if key not in self._sets:
            backend = MEMORY
            if self._store is not None:
                kept = find_sets(self._store, f"{spec.name}@{spec.identity}")
                backend = next((s.meta.backend for s in kept if s.meta.dtype == spec.dtype), "hdf5")
            meta = feature_meta(encoder, dtype=spec.dtype, backend=backend)
            self._sets[key] = create_store(self._store or "", meta)
        return self._sets[key]
