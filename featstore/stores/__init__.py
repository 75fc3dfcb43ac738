"""Stores: vectors on disk, keyed by sentence.

In: keys and :class:`~featstore.ragged.Ragged` vectors of one encoder. Out: the same vectors, in the order
asked. A store is a directory (or an address such as ``s3://bucket/features``) of feature sets; a feature set is a
directory of immutable shards (FORMAT.md). Each backend lives in a file of its own; adding one is that
file and a line in ``BACKENDS``.
"""

from featstore.stores.access import FoundSet, create_store, find_sets, list_sets, look_up, open_store
from featstore.stores.contract import DTYPES, MEMORY, FeatureMeta, FeatureStore
from featstore.stores.sets import SetInfo
from featstore.stores.table import BACKENDS

__all__ = [
    "BACKENDS",
    "DTYPES",
    "MEMORY",
    "FeatureMeta",
    "FeatureStore",
    "FoundSet",
    "SetInfo",
    "create_store",
    "find_sets",
    "list_sets",
    "look_up",
    "open_store",
]
