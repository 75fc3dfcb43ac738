"""Reading a few sentences of a shard at S3: by range against the whole shard.

In: nothing that the package does not bring; the server that speaks S3 is on this machine. Out: for both backends and
for several numbers of sentences, milliseconds of the processor and requests to the server.

    python benchmarks/range_reads.py
"""

from __future__ import annotations

import time
from importlib import import_module
from typing import Any

import numpy as np
from large_store import s3_bucket

from featstore.fingerprint import fingerprint
from featstore.markdown import markdown_table
from featstore.ragged import Ragged
from featstore.stores import FeatureMeta, create_store, find_sets, open_store, ranged

SENTENCES, TOKENS, COLUMNS = 2000, 25, 512


def main() -> None:
    """Measure and print a table."""
    requests = [0]
    s3: Any = import_module("s3fs").S3FileSystem
    call = s3._call_s3

    async def counted(self: Any, *given: Any, **options: Any) -> Any:
        requests[0] += 1
        return await call(self, *given, **options)

    s3._call_s3 = counted
    draw, rows = np.random.default_rng(0), []
    keys = [draw.bytes(16) for _ in range(SENTENCES)]
    values = draw.standard_normal((SENTENCES * TOKENS, COLUMNS)).astype("float16")
    facts = {"kind": "drawn"}
    with s3_bucket() as bucket:
        for backend in ("hdf5", "zarr"):
            meta = FeatureMeta("drawn", fingerprint(facts), COLUMNS, 1, "float16", backend, facts)
            create_store(f"{bucket}/{backend}", meta).append(keys, Ragged(values, np.arange(SENTENCES + 1) * TOKENS))
            path = find_sets(f"{bucket}/{backend}", "drawn")[0].path
            for count in (1, 32, 320):
                cells = []
                for allowance in (0, 2**40):  # a request costs nothing, or more than the shard
                    ranged.REQUEST_BYTES = allowance
                    store = open_store(path)
                    wanted = [keys[i] for i in draw.choice(SENTENCES, count, replace=False)]
                    requests[0], begun = 0, time.process_time()
                    store.read(wanted)
                    cells.append(f"{1000 * (time.process_time() - begun):.0f} ms, {requests[0]} requests")
                rows.append([backend, str(count), *cells])
                print(*rows[-1], sep=" | ", flush=True)
    print(f"A shard of {values.nbytes / 1e6:.0f} MB\n")
    print(markdown_table(["backend", "sentences", "by range", "whole"], rows))


if __name__ == "__main__":
    main()
