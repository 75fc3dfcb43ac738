"""What all of PubMed would cost: core-hours, money, the size of stores.

In: documents with mentions, on which our figures are measured here, on one thread in processor time; the milliseconds
that other systems take for a pair, each with the command that printed them. Out: tables, the first with every input.
``python benchmarks/scale.py plan`` runs it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from classifier.extract import Extractor
from classifier.extract.wanted import Extraction, Wanted
from featstore.corpora.text import split_sentences, tokenise
from featstore.documents import Document
from featstore.encoders import load_encoder
from featstore.formats import read_documents
from featstore.markdown import markdown_table
from featstore.stores.segments import part_size

SHARD_BYTES = 64 * 1024**2  # of vectors, as `cli store compact` makes them


@dataclass(frozen=True, slots=True)
class Rival:
    """Another system: milliseconds for a pair, and where they come from."""

    name: str
    pair_ms: float
    source: str


RIVALS = (
    Rival("BERT-base, int8", 48.2, "benchmarks/extract.py --precisions int8 --only bert (RESULTS.md)"),
    Rival("MiniLM-L6, fine-tuned, bfloat16", 6.0, "cli eval of a MiniLM, wall time, busy (docs/results-systems.md)"),
    Rival("MiniLM-L6, onnxruntime int8", 7.03, "benchmarks/extract.py --only minilm --onnx (RESULTS.md)"),
)


@dataclass(frozen=True, slots=True)
class Measured:
    """What a document has, and what ours take for it in milliseconds.

    Attributes:
        tokens, sentences, pairs: of a document, on average; pairs with the mentions that are given.
        given_ms: extraction with the mentions that are given.
        plain_ms: extraction from plain text, whose mentions are found first.
        encode_ms: encoding its sentences, by encoder.
        dims: columns of a vector, by encoder.
    """

    tokens: float
    sentences: float
    pairs: float
    given_ms: float
    plain_ms: float
    encode_ms: dict[str, float]
    dims: dict[str, int]


def measure(source: Path, most: int) -> Measured:
    """Measure ours on the first documents of a file."""
    found = islice((d for d in read_documents(source) if isinstance(d, Document)), most)
    documents = list(found)
    spent, pairs = {}, 0
    for tag in ("never", "always"):
        extractor = Extractor.load(tag=tag)
        list(extractor.windows(documents[:3], Wanted()))  # what is loaded with the first document
        begun = time.process_time()
        for window in extractor.windows(documents, Wanted()):
            pairs += sum(each.pairs for each in window if isinstance(each, Extraction)) if tag == "never" else 0
        spent[tag] = 1000 * (time.process_time() - begun) / len(documents)
    texts = [tuple(tokenise(d.text, span, ()).tokens) for d in documents for span in split_sentences(d.text, ()).spans]
    encode, dims = {}, {}
    for spec in ("glove", "bioglove", "elmo", "cse"):
        encoder = load_encoder(spec)
        dims[spec] = encoder.dim
        begun = time.process_time()
        for first in range(0, len(texts), 32):
            encoder.encode(texts[first : first + 32])
        encode[spec] = 1000 * (time.process_time() - begun) / len(documents)
    count = len(documents)
    tokens, sentences = sum(map(len, texts)) / count, len(texts) / count
    return Measured(tokens, sentences, pairs / count, spent["never"], spent["always"], encode, dims)


def print_plan(source: Path, most: int, abstracts: int, price: float) -> None:
    """Measure ours and print the tables."""
    seen = measure(source, most)
    rows = [
        ["tokens, sentences and pairs of a document", f"{seen.tokens:.0f}, {seen.sentences:.1f}, {seen.pairs:.1f}", ""],
        ["ours, mentions given", f"{seen.given_ms:.1f} ms a document", "this command"],
        ["ours, from plain text", f"{seen.plain_ms:.1f} ms a document", "this command"],
        *(
            [f"encoding, {spec}", f"{spent:.1f} ms a document", "this command"]
            for spec, spent in seen.encode_ms.items()
        ),
        *([rival.name, f"{rival.pair_ms} ms a pair", rival.source] for rival in RIVALS),
    ]
    print(f"{most} documents of {source.name}\n\n{markdown_table(['input', 'value', 'printed by'], rows)}\n")
    work = {
        "relations, mentions given, the model that ships": seen.given_ms,
        "relations from plain text, the model that ships": seen.plain_ms,
        **{f"store of {spec}": spent for spec, spent in seen.encode_ms.items()},
        **{f"relations, mentions given, {rival.name}": rival.pair_ms * seen.pairs for rival in RIVALS},
    }
    rows = [
        [what, f"{hours:,.0f}", f"{hours * price:,.0f}", f"{hours / 64:,.0f} h"]
        for what, hours in ((what, each * abstracts / 3.6e6) for what, each in work.items())
    ]
    print(f"{abstracts:,} abstracts\n")
    print(markdown_table(["work", "core-hours", f"cost at {price:g} a core-hour", "on 64 cores"], rows) + "\n")
    tokens, sentences = abstracts * seen.tokens, abstracts * seen.sentences
    rows = []
    for spec, dim in seen.dims.items():
        for name, columns in ((spec, dim), *([(f"{spec}, view of 100 columns", 100)] if dim > 100 else [])):
            sizes = [tokens * columns * width for width in (2, 4)]
            rows.append(
                [name, str(columns), *(f"{size / 1e12:,.1f} TB" for size in sizes), f"{sizes[0] / SHARD_BYTES:,.0f}"]
            )
    print(markdown_table(["feature set", "columns", "float16", "float32", "shards of 64 MiB, float16"], rows) + "\n")
    own, key = sentences * 32 / 1e9, sentences * part_size(2**20) / 2**20 / 1e9
    print(f"{sentences:,.0f} sentences: {own:,.0f} GB of the shards' indexes, {key:,.0f} GB of the key index.")
