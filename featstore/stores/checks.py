"""The checks of vectors before they are stored, the same for every backend.

In: the feature set's facts, keys, vectors. Out: the vectors in the set's type, or the error that says what is
wrong with which sentence.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from featstore.errors import DataError, MismatchError, MissingFeatureError, UsageError
from featstore.ragged import Ragged
from featstore.stores.contract import FeatureMeta


def check_vectors(meta: FeatureMeta, keys: Sequence[bytes], vectors: Ragged) -> Ragged:
    """Return ``vectors`` in the type of the feature set.

    Raises:
        UsageError: the numbers of keys and of sentences differ.
        MismatchError: the rows have another width than those of the set.
        DataError: a value is NaN or infinite, float16 cannot hold a number, or one key has two lengths.
    """
    if len(keys) != len(vectors):
        raise UsageError(f"{len(keys)} keys were given for the vectors of {len(vectors)} sentences.")
    if vectors.dim != meta.dim:
        raise MismatchError(
            f"vectors of {vectors.dim} columns were given to the feature set {meta.name} {meta.identity[:16]}, "
            f"whose rows have {meta.dim}; they come from another encoder."
        )
    _check_repeats(keys, vectors)
    with np.errstate(over="ignore"):
        values = np.ascontiguousarray(vectors.values.astype(meta.dtype, copy=False))
    if not _all_finite(values):
        raise _not_finite(meta, keys, vectors, values)
    return Ragged(values, vectors.offsets)


def _all_finite(values: NDArray[np.floating]) -> bool:
    if (
        values.dtype == np.float16 and values.size
    ):  # compared by its bits, because numpy would convert each half to a float
        return bool((values.view(np.uint16) & 0x7FFF).max() < 0x7C00)
    return bool(np.isfinite(values).all())


def _check_repeats(keys: Sequence[bytes], vectors: Ragged) -> None:
    if len(set(keys)) == len(keys):
        return
    lengths: dict[bytes, int] = {}
    for key, length in zip(keys, vectors.lengths.tolist(), strict=True):
        if lengths.setdefault(key, length) != length:
            raise DataError(
                f"sentence {key.hex()} was given twice, with {lengths[key]} and with {length} rows; "
                "one key is one sentence and has one row a token."
            )


def _not_finite(meta: FeatureMeta, keys: Sequence[bytes], vectors: Ragged, values: NDArray[np.floating]) -> DataError:
    row = int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0])
    sentence = int(np.searchsorted(vectors.offsets, row, side="right")) - 1
    token = row - int(vectors.offsets[sentence])
    where = f"token {token} of sentence {sentence} of {len(keys)} (key {keys[sentence].hex()})"
    given = vectors.values[row]
    if np.isfinite(given).all():
        return DataError(
            f"{where} has the value {given[np.argmax(np.abs(given))]:g}, which is more than float16 can hold "
            f"(65504); store the encoder '{meta.name}' with --dtype float32."
        )
    return DataError(
        f"{where} has a value that is not a number or not finite; the encoder '{meta.name}' or its weights are "
        "broken. Nothing of this batch was stored."
    )


def not_stored(meta: FeatureMeta, absent: Sequence[bytes], asked: int) -> MissingFeatureError:
    """The error for keys that are not stored."""
    return MissingFeatureError(
        f"{len(absent)} of {asked} sentences have no vectors of '{meta.name}' ({meta.identity[:16]}) in the store, "
        f"the first is {absent[0].hex()}; featurize their corpus again, with the same store, to have them."
    )
