"""Details of one sentence in the store.

In: the path of a feature set and a key. Out: where its vectors lie, whether they are unchanged, and the norm of each.
Its tokens must come from the corpus, because a store keeps no text.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from featstore.stores.checks import not_stored
from featstore.stores.layout import checksum
from featstore.stores.places import join
from featstore.stores.sets import open_files
from featstore.stores.sharded import ShardedStore


@dataclass(frozen=True, slots=True)
class SentenceView:
    """The place and the state of a sentence's vectors.

    Attributes:
        path: the feature set.
        key: the sentence.
        shard: path of the shard's data.
        position: the sentence's position in the shard, from 0.
        first: the first of its rows there.
        stop: the row after the last.
        whole: whether the rows are unchanged since they were written.
        norms: for each token, the Euclidean norm of each layer's vector.
    """

    path: str
    key: bytes
    shard: str
    position: int
    first: int
    stop: int
    whole: bool
    norms: tuple[tuple[float, ...], ...]


def inspect(path: str | Path, key: bytes) -> SentenceView:
    """Look at one sentence.

    Raises:
        MissingFileError: there is no feature set.
        MissingFeatureError: the set does not hold the sentence.
        DamagedStoreError: the shard cannot be read.
    """
    files = open_files(path)
    store = ShardedStore(files)
    place = store.locate(key)
    if place is None:
        raise not_stored(files.meta, [key], 1)
    name, position = place
    index = files.load_index(name)
    rows = store.read([key]).values
    layers = rows.reshape(len(rows), files.meta.layers, -1).astype(np.float64)
    with np.errstate(all="ignore"):  # damaged rows may hold anything
        norms = np.linalg.norm(layers, axis=2)
    return SentenceView(
        path=str(path),
        key=key,
        shard=join(files.place.location, files.data_name(name)),
        position=position,
        first=int(index.offsets[position]),
        stop=int(index.offsets[position + 1]),
        whole=checksum(np.ascontiguousarray(rows, dtype=files.dtype)) == int(index.checksums[position]),
        norms=tuple(tuple(token) for token in norms.tolist()),
    )
