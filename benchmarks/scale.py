"""Past one machine: engines against each other, growth, the index of a large store, and a plan for PubMed.

    python benchmarks/scale.py engines --documents 640     # 1 and 2 workers, processes of this machine against Ray
    python benchmarks/scale.py growth featurize --documents 1000000  # or extract
    python benchmarks/scale.py index --sentences 1000000 10000000 [--s3 | --store s3://BUCKET/PREFIX]
    python benchmarks/scale.py plan

In: nothing that the package does not bring. The documents are those of the sample corpus again and again, each with a
word of its own in every sentence, so that no two sentences are the same. Out: a table for each.
"""

from __future__ import annotations

import argparse
import os
from contextlib import nullcontext

os.environ.setdefault("OMP_NUM_THREADS", "1")

from growth import grow_extract, grow_featurize
from large_store import large_store, s3_bucket
from scale_engines import engines

from featstore.encoders import load_encoder
from featstore.markdown import markdown_table

TOKENS, SENTENCES = 301, 10.2  # of an abstract: the first 400 of ChemProt
INDEX_BYTES = 41  # of memory for a sentence, as measured by `index`


def plan(abstracts: int, abstracts_a_second: float, pairs: float, bert_ms: float, price: float) -> None:
    """Print what all of PubMed would cost, from figures that were measured on one core."""
    encoder = {spec: load_encoder(spec) for spec in ("bioglove", "elmo", "cse")}
    tokens, sentences = abstracts * TOKENS, abstracts * SENTENCES
    hours = {
        "relations from plain text, model that ships": abstracts / abstracts_a_second / 3600,
        f"BERT-base at int8, {pairs:g} pairs an abstract, mentions given": abstracts * pairs * bert_ms / 3.6e6,
    }
    print(f"{abstracts:,} abstracts, {sentences:,.0f} sentences, {tokens:,.0f} tokens\n")
    rows = [[what, f"{spent:,.0f}", f"{spent * price:,.0f}", f"{spent / 64:,.0f} h"] for what, spent in hours.items()]
    print(markdown_table(["work", "core-hours", f"cost at {price:g} a core-hour", "on 64 cores"], rows) + "\n")
    rows = []
    for spec, found in encoder.items():
        for columns, name in ((found.dim, spec), (100, f"{spec}-pca100")):
            if columns < found.dim or name == spec:
                sizes = [f"{tokens * columns * width / 1e12:,.1f} TB" for width in (2, 4)]
                rows.append([name, str(columns), *sizes])
    print(markdown_table(["feature set", "columns", "float16", "float32"], rows) + "\n")
    print(f"Index in memory at {INDEX_BYTES} bytes a sentence: {sentences * INDEX_BYTES / 1e9:,.0f} GB a process.")


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(dest="part", required=True)
    asked = parts.add_parser("engines")
    asked.add_argument("--documents", type=int, default=640)
    asked = parts.add_parser("growth")
    asked.add_argument("work", choices=["featurize", "extract"])
    asked.add_argument("--documents", type=int, default=100_000)
    asked = parts.add_parser("index")
    asked.add_argument("--sentences", type=int, nargs="+", default=[1_000_000, 10_000_000])
    asked.add_argument("--store", help="an address; by default a temporary folder")
    asked.add_argument("--s3", action="store_true", help="at a server on this machine that speaks S3 (moto)")
    asked = parts.add_parser("plan")
    asked.add_argument("--abstracts", type=int, default=38_000_000)
    asked.add_argument("--rate", type=float, default=21.0, help="abstracts a second on one core")
    asked.add_argument("--pairs", type=float, default=19.8, help="pairs of an abstract, for BERT")
    asked.add_argument("--bert-ms", type=float, default=48.2, help="milliseconds that BERT-base takes for a pair")
    asked.add_argument("--price", type=float, default=0.04, help="of a core-hour, in any currency")
    chosen = parser.parse_args()
    if chosen.part == "engines":
        engines(chosen.documents)
    elif chosen.part == "growth":
        (grow_featurize if chosen.work == "featurize" else grow_extract)(1000, chosen.documents)
    elif chosen.part == "index":
        with s3_bucket() if chosen.s3 else nullcontext(chosen.store) as root:
            large_store(chosen.sentences, root)
    else:
        plan(chosen.abstracts, chosen.rate, chosen.pairs, chosen.bert_ms, chosen.price)


if __name__ == "__main__":
    main()
