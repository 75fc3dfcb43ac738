"""Past one machine: engines against each other, growth, the index of a large store, and a plan for PubMed.

    python benchmarks/scale.py engines --documents 640     # 1 and 2 workers, processes of this machine against Ray
    python benchmarks/scale.py growth featurize --documents 1000000  # or extract
    python benchmarks/scale.py index --sentences 1000000 10000000 [--s3 | --store s3://BUCKET/PREFIX]
    python benchmarks/scale.py plan [--source DOCUMENTS]

In: nothing that the package does not bring. Out: a table for each. Each part has a module of its own.
"""

from __future__ import annotations

import argparse
import os
from contextlib import nullcontext
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from growth import grow_extract, grow_featurize
from large_store import large_store, s3_bucket
from pubmed_plan import print_plan
from scale_engines import WORK, engines

from featstore.bundled import bundled


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(dest="part", required=True)
    asked = parts.add_parser("engines")
    asked.add_argument("--documents", type=int, default=640)
    asked.add_argument("--work", nargs="+", choices=list(WORK), default=list(WORK))
    asked = parts.add_parser("growth")
    asked.add_argument("work", choices=["featurize", "extract"])
    asked.add_argument("--documents", type=int, default=100_000)
    asked = parts.add_parser("index")
    asked.add_argument("--sentences", type=int, nargs="+", default=[1_000_000, 10_000_000])
    asked.add_argument("--store", help="an address; by default a temporary folder")
    asked.add_argument("--s3", action="store_true", help="at a server on this machine that speaks S3 (moto)")
    asked = parts.add_parser("plan")
    asked.add_argument("--abstracts", type=int, default=38_000_000)
    asked.add_argument("--source", type=Path, default=bundled("sample/chemprot"), help="documents with mentions")
    asked.add_argument("--documents", type=int, default=100, help="of the source, on which ours is measured")
    asked.add_argument("--price", type=float, default=0.04, help="of a core-hour, in any currency")
    chosen = parser.parse_args()
    if chosen.part == "engines":
        engines(chosen.documents, chosen.work)
    elif chosen.part == "growth":
        (grow_featurize if chosen.work == "featurize" else grow_extract)(1000, chosen.documents)
    elif chosen.part == "index":
        with s3_bucket() if chosen.s3 else nullcontext(chosen.store) as root:
            large_store(chosen.sentences, root)
    else:
        print_plan(chosen.source, chosen.documents, chosen.abstracts, chosen.price)


if __name__ == "__main__":
    main()
