"""The table of the backends. Each lives in a file of its own that is imported when it is asked for; adding one is that
file and a line here.
"""

from __future__ import annotations

# name -> "module:class" of the layout of a shard in files (a featstore.stores.shards.ShardFormat).
BACKENDS: dict[str, str] = {
    "hdf5": "featstore.stores.hdf5:Hdf5Shards",
    "zarr": "featstore.stores.zarr:ZarrShards",
}
