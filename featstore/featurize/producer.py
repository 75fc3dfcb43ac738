"""The one producer loop: batch, encode what fits in memory, commit a shard; in this process or in several.

In: sentences that a feature set lacks, their encoder. Out: shards in the set. An interrupted run loses at most the
shard that each process was filling, and a second run encodes what is missing. Workers are given item after item, a
shard's worth of batches each, so they end at about the same time. Each worker writes its own shards, so workers do not
communicate.
"""

from __future__ import annotations

import platform
import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass

import numpy as np

from featstore.encoders import Encoder, EncoderOptions, load_encoder
from featstore.encoders.ladder import encode_what_fits
from featstore.errors import MismatchError
from featstore.featurize.alike import alike
from featstore.ragged import Ragged
from featstore.records import KeyedSentences
from featstore.scale.engine import Tell
from featstore.stores import FeatureMeta, FeatureStore, open_store
from featstore.stores.checks import check_vectors

BATCH_TOKENS = 16384  # one call of the encoder, enough to fill its lanes; it cuts further where its budget is smaller
FEWEST_TOKENS = 2048  # of a batch that is small only so that each worker gets some
COMMIT_BYTES = 32 << 20  # a shard is committed when it holds so much ..
COMMIT_SECONDS = 60.0  # .. or when so long has passed, so that a kill costs at most a minute of encoding
ITEMS_A_WORKER = 8  # at least, where there are so many batches: workers then end at about the same time
EncodingItem = Sequence[KeyedSentences]  # the batches of about one shard


def batches(sentences: KeyedSentences, *, together: bool = True, workers: int = 1) -> list[KeyedSentences]:
    """Cut ``sentences`` into batches of about equal length, at most BATCH_TOKENS tokens each.

    Equal lengths need no padding, and lanes that hold them end together. Sentences that share text stay
    ``together``, so that it is encoded once. The batches come in a fixed random order, so that every shard holds short
    and long sentences and the speed so far predicts the rest. Several workers get a few batches each, even of few
    sentences.
    """
    most = BATCH_TOKENS
    if workers > 1:
        most = min(most, max(FEWEST_TOKENS, sum(map(len, sentences.values())) // (workers * ITEMS_A_WORKER)))
    keys = list(sentences)
    groups = [[key] for key in keys]
    if together:
        groups = [[keys[i] for i in group] for group in alike([sentences[key] for key in keys])]
    groups.sort(key=lambda group: _longest(group, sentences))
    result: list[dict[bytes, Sequence[str]]] = []
    room = 0
    for key in (key for group in groups for key in group):
        tokens = sentences[key]
        if room < len(tokens) or not result:
            result.append({})
            room = most
        result[-1][key] = tokens
        room -= len(tokens)
    random.Random(0).shuffle(result)
    return list(result)


def _longest(keys: Sequence[bytes], sentences: KeyedSentences) -> tuple[int, bytes]:
    """Return the most tokens that one of some sentences has, and its key."""
    if len(keys) == 1:  # as most are where no text is shared
        return len(sentences[keys[0]]), keys[0]
    return max((len(sentences[key]), key) for key in keys)


class _Shard:
    """Finished batches that wait to be stored."""

    def __init__(self, store: FeatureStore) -> None:
        self._store = store
        self._clear()

    def _clear(self) -> None:
        self._keys: list[bytes] = []
        self._parts: list[Ragged] = []
        self._bytes = 0
        self._since = time.monotonic()

    def add(self, keys: Sequence[bytes], vectors: Ragged) -> None:
        checked = check_vectors(self._store.meta, keys, vectors)  # rounded at once: what waits takes half the memory
        self._keys += keys
        self._parts.append(checked)
        self._bytes += checked.values.nbytes

    @property
    def is_due(self) -> bool:
        return self._bytes >= COMMIT_BYTES or time.monotonic() - self._since >= COMMIT_SECONDS

    def commit(self) -> None:
        if self._keys:
            self._store.append(self._keys, Ragged.joined(self._parts))
        self._clear()


def encode_here(
    todo: Iterable[KeyedSentences], encoder: Encoder, store: FeatureStore, report: Callable[[int], None]
) -> None:
    """Encode batches and commit them shard by shard; an interrupt commits what is finished first.

    Args:
        todo: the batches; one is taken when the one before is done.
        encoder: what encodes them; a sentence that memory has no room for is logged and left out.
        store: where the vectors go.
        report: called with the sentences of each batch that is done.
    """
    shard = _Shard(store)
    try:
        for batch in todo:
            keys = list(batch)
            positions, vectors = encode_what_fits(encoder, [batch[key] for key in keys])
            shard.add([keys[i] for i in positions], vectors)
            if shard.is_due:
                shard.commit()
            report(len(batch))
    except KeyboardInterrupt:
        shard.commit()
        raise
    shard.commit()


@dataclass(frozen=True, slots=True)
class EncodingJob:
    """The encoding of sentences by workers, each of which writes its own shards (:mod:`featstore.scale.engine`).

    Attributes:
        spec: of the encoder.
        options: how the encoder computes.
        path: the feature set, which exists.
    """

    spec: str
    options: EncoderOptions
    path: str

    @contextmanager
    def worker(self, tell: Tell) -> Iterator[Callable[[EncodingItem], int]]:
        """Load the encoder and open the feature set; return what encodes and commits an item.

        Raises:
            MissingFileError: a worker on another machine does not see the feature set.
            MismatchError: the encoder is another one there.
        """
        del tell  # an item takes seconds
        with closing(open_store(self.path)) as store:
            encoder = load_encoder(self.spec, device=self.options.device, precision=self.options.precision)
            if encoder.identity != store.meta.identity:
                raise MismatchError(
                    f"the encoder '{self.spec}' of the machine {platform.node()} is not the one that fills "
                    f"{self.path}; install the same version of featstore, and the same files, on all machines."
                )

            def encode(item: EncodingItem) -> int:
                store.refresh()  # a worker that was lost at this item may have committed some of it
                left = [{key: batch[key] for key in store.missing(list(batch))} for batch in item]
                encode_here(filter(None, left), encoder, store, lambda _: None)
                return sum(map(len, item))

            yield encode


def encoding_items(todo: Sequence[KeyedSentences], meta: FeatureMeta, workers: int) -> Iterator[EncodingItem]:
    """Put batches together to items: as many as fill a shard, but fewer if workers would have too few items to share.

    Args:
        todo: the batches.
        meta: of the feature set, which says how large a vector is.
        workers: how many share the items.
    """
    row = meta.dim * np.dtype(meta.dtype).itemsize
    tokens = [sum(map(len, batch.values())) for batch in todo]
    room = min(COMMIT_BYTES // row, sum(tokens) // (workers * ITEMS_A_WORKER))
    item: list[KeyedSentences] = []
    held = 0
    for batch, count in zip(todo, tokens, strict=True):
        if item and held + count > room:
            yield item
            item, held = [], 0
        item.append(batch)
        held += count
    if item:
        yield item
