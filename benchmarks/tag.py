"""Tagging speed against flair's ``SequenceTagger`` with the same embeddings, in one run, one thread each.

In: sentences of a corpus of mentions. Out: tokens a second of both, by processor time, and their ratio. The embeddings
are those of one pair of character language models with random weights, of the size that comes with featstore (512
units a direction), read by flair from its own files and by our encoder from the same; both taggers are a Bi-LSTM of
the same width with a CRF over the same tags, with random weights, since this is about time.

Two rows: *from text*, where the sentences are encoded and tagged; and *from stored vectors*, where both find the
embeddings in memory, as in training, in an evaluation, or where the relation head has had the sentence encoded. Both
taggers read all columns; in the last rows ours maps them to 100 columns first, as it does by default.

    python benchmarks/tag.py [--corpus sample] [--sentences 400] [--hidden 128] [--rounds 3]
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from encoder_engines import make_models

from classifier.data.features import FeatureSpec, parse_features
from classifier.data.vectors import Vectors
from classifier.entities.batch import SentenceBatcher, distinct
from classifier.entities.config import NetworkConfig
from classifier.entities.corpora import load_mentions
from classifier.entities.model import Network
from classifier.entities.parts import Part
from classifier.entities.predict import find_mentions
from classifier.entities.sentences import TaggedSentence
from classifier.entities.types import TYPES
from classifier.head.config import InputConfig
from featstore.encoders import Encoder, load_encoder
from featstore.featurize.encode import encode_missing
from featstore.featurize.forecast import feature_meta
from featstore.stores import MEMORY, FeatureStore, create_store

BATCH = 32
Run = Callable[[], None]


class Ours:
    """Our tagger on a pair of character language models."""

    def __init__(
        self, folder: Path, precision: str, sentences: Sequence[TaggedSentence], hidden: int, project: int
    ) -> None:
        self.encoder: Encoder = load_encoder(f"cse:{folder / 'cse'}", precision=precision)
        self.sentences = sentences
        self.inputs = (InputConfig(self.encoder.dim),)
        # bfloat16 products, as taggers are trained by default
        shape = NetworkConfig(self.inputs, TYPES, hidden=hidden, project=project, precision="bfloat16")
        self.network = Network(shape).eval()
        self.stored = self.encode()

    def encode(self) -> FeatureStore:
        store = create_store("", feature_meta(self.encoder, dtype="float16", backend=MEMORY))
        encode_missing({s.key: s.tokens for s in self.sentences}, self.encoder, store)
        return store

    def tag(self, store: FeatureStore) -> None:
        vectors = Vectors(parse_features("cse"), [store], distinct(self.sentences))
        assert isinstance(vectors.specs[0], FeatureSpec)
        batcher = SentenceBatcher(self.sentences, [()] * len(self.sentences), vectors, TYPES)
        find_mentions(self.network, batcher, np.arange(len(self.sentences)))


def flair_taggers(folder: Path, sentences: Sequence[TaggedSentence], hidden: int) -> tuple[Run, Run]:
    """Return flair's tagging from text and from embeddings that are kept with the tokens."""
    import flair
    from flair.data import Dictionary, Sentence
    from flair.embeddings import FlairEmbeddings, StackedEmbeddings
    from flair.models import SequenceTagger

    flair.device = torch.device("cpu")
    files = [str(folder / "cse" / f"{direction}.pt") for direction in ("forward", "backward")]
    embeddings = StackedEmbeddings([FlairEmbeddings(file) for file in files])
    labels = Dictionary(add_unk=False)
    labels.span_labels = True
    for type_ in TYPES:
        labels.add_item(type_)
    tagger = SequenceTagger(
        embeddings=embeddings,
        tag_dictionary=labels,
        tag_type="ner",
        hidden_size=hidden,
        rnn_layers=1,
        use_crf=True,
        reproject_embeddings=False,
        tag_format="BIOES",
    ).eval()

    def predict(marked: list[Any], storage: str) -> None:
        tagger.predict(marked, mini_batch_size=BATCH, embedding_storage_mode=storage, force_token_predictions=True)

    def from_text() -> None:
        predict([Sentence(list(sentence.tokens)) for sentence in sentences], "none")

    kept = [Sentence(list(sentence.tokens)) for sentence in sentences]
    predict(kept, "cpu")
    return from_text, lambda: predict(kept, "cpu")


def seconds(run: Run) -> float:
    """Return the processor time of a run."""
    start = time.process_time()
    run()
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", default="sample", help="a corpus of mentions, whose sentences are tagged")
    parser.add_argument("--sentences", type=int, default=400)
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    corpus = load_mentions(options.corpus)
    every = Part.of(corpus, corpus.part("test")).sentences
    sentences = list({sentence.key: sentence for sentence in every}.values())[: options.sentences]
    tokens = sum(len(sentence.tokens) for sentence in sentences)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        make_models(folder, "small")
        shapes = (("float32", 0), ("int8", 0), ("int8", 100))
        ours = {shape: Ours(folder, shape[0], sentences, options.hidden, shape[1]) for shape in shapes}
        flair_text, flair_stored = flair_taggers(folder, sentences, options.hidden)
        runs: dict[tuple[str, str], Run] = {
            ("flair", "from text"): flair_text,
            ("flair", "from stored vectors"): flair_stored,
        }
        for (precision, project), one in ours.items():
            what = f"ours, encoder {precision}" + (f", mapped to {project} columns first" if project else "")
            runs[what, "from text"] = lambda one=one: one.tag(one.encode())  # type: ignore[misc]
            runs[what, "from stored vectors"] = lambda one=one: one.tag(one.stored)  # type: ignore[misc]
        taken: dict[tuple[str, str], list[float]] = {name: [] for name in runs}
        for _ in range(options.rounds):
            for name, run in runs.items():
                taken[name].append(seconds(run))
    print(
        f"{len(sentences):,} sentences, {tokens:,} tokens, {options.hidden} hidden units; medians of {options.rounds}\n"
    )
    print("| | | tokens/s | times flair |\n|---|---|---|---|")
    for (who, row), times in sorted(taken.items(), key=lambda item: item[0][1]):
        ratio = median(taken["flair", row]) / median(times)
        print(f"| {row} | {who} | {tokens / median(times):,.0f} | {ratio:.1f} |")


if __name__ == "__main__":
    main()
