"""How long an epoch of the head takes, against the ways it is usually done. One process, one thread.

In: the widths of the features and a number of instances. Out: a table of milliseconds a batch of 32, median over the
batches of all epochs but the first, and the share of the time that ours spends on preparing batches. Vectors are
random float16 in memory, sentence lengths follow GAD's (mean 34 with the four tags, longest about 110). CPU time is
counted, so that other processes on the machine disturb little. Compared are

    ours      classifier.train's step: bucketed batches, one projection of frozen rows, both directions in one loop
    packed    nn.LSTM on pack_padded_sequence, shuffled batches
    padded    nn.LSTM on padded batches, shuffled
    flair     flair's TextClassifier on DocumentRNNEmbeddings, its embeddings kept in memory (``--flair``)

all with the same layer mix, attention, loss and optimiser (flair's head has no attention).

    python benchmarks/train.py [--features 50,1024,3x256] [--instances 640] [--epochs 3] [--flair]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

from classifier.batch import Batch, Batcher
from classifier.features import Feature
from classifier.model import Head, HeadConfig, InputConfig, LayerMix
from classifier.vectors import Sentences, Vectors
from featstore.ragged import Ragged
from featstore.records import Instance
from featstore.stores import FeatureMeta
from featstore.stores.memory import MemoryStore

BATCH = 32
TAGS = ("<gene>", "</gene>", "<dise>", "</dise>")


def make_instances(count: int, pairs: int) -> list[Instance]:
    """Make instances of random lengths; ``pairs`` to a sentence, with tag vectors if there is more than one."""
    rng = np.random.default_rng(0)
    instances: list[Instance] = []
    while len(instances) < count:
        n = len(instances)
        length = int(np.clip(rng.lognormal(3.35, 0.42), 6, 106))
        tokens = tuple(f"{n}:{i}" for i in range(length))
        for pair in range(pairs):
            layout = list(range(length))
            if pairs > 1:
                for tag, at in enumerate(np.sort(rng.integers(0, length, 4))):
                    layout.insert(at + tag, -1 - tag)
            instances.append(
                Instance(
                    id=f"{n}:{pair}",
                    tokens=tokens,
                    layout=tuple(layout),
                    tags=TAGS if pairs > 1 else (),
                    head=(0, 1),
                    tail=(1, 2),
                    head_type="gene",
                    tail_type="dise",
                    label=str(rng.integers(2)),
                )
            )
    return instances[:count]


def make_vectors(instances: list[Instance], inputs: list[InputConfig]) -> Vectors:
    sentences = Sentences.of(instances)
    rng = np.random.default_rng(1)
    stores = []
    for n, feature in enumerate(inputs):
        columns = feature.dim * feature.layers
        store = MemoryStore(FeatureMeta(f"f{n}", f"{n:064x}", columns, feature.layers, "float16", "memory"))
        parts = [rng.standard_normal((length, columns), dtype=np.float32) * 0.3 for length in sentences.lengths]
        store.append(sentences.keys, Ragged.from_list(parts, columns))
        stores.append(store)
    return Vectors([Feature(f"f{n}") for n in range(len(inputs))], stores, sentences, ram_budget=1 << 36)


class PlainHead(nn.Module):
    """The same head as most would write it, on nn.LSTM."""

    def __init__(self, config: HeadConfig, packed: bool) -> None:
        super().__init__()
        self.packed = packed
        self.inputs = config.inputs
        self.mixes = nn.ModuleList(LayerMix(f.layers) if f.layers > 1 else nn.Identity() for f in config.inputs)
        self.tags = nn.Embedding(max(1, config.tags), sum(f.dim for f in config.inputs))
        width = sum(f.dim for f in config.inputs)
        self.lstm = nn.LSTM(width, config.hidden, batch_first=True, bidirectional=True)
        self.attention = nn.Linear(2 * config.hidden, 1, bias=False)
        self.classifier = nn.Linear(2 * config.hidden, config.labels)

    def forward(self, rows: list[tuple[Tensor, ...]], layouts: list[Tensor], lengths: Tensor) -> Tensor:
        sequences = []
        for features, layout in zip(rows, layouts, strict=True):
            mixed = [
                mix(x.float().view(len(x), f.layers, f.dim)) if f.layers > 1 else x.float()
                for f, mix, x in zip(self.inputs, self.mixes, features, strict=True)
            ]
            x = torch.cat(mixed, dim=1)
            if (layout < 0).any():
                x = torch.cat([x, self.tags.weight])[torch.where(layout < 0, len(x) - 1 - layout, layout)]
            sequences.append(x)
        padded = pad_sequence(sequences, batch_first=True)
        if self.packed:
            states, _ = self.lstm(pack_padded_sequence(padded, lengths, batch_first=True, enforce_sorted=False))
            hidden, _ = pad_packed_sequence(states, batch_first=True)
        else:
            hidden, _ = self.lstm(padded)
        scores = self.attention(torch.tanh(hidden)).squeeze(-1)
        scores = scores.masked_fill(torch.arange(hidden.shape[1]) >= lengths.unsqueeze(1), -torch.inf)
        pooled = torch.einsum("bt,bth->bh", scores.softmax(1), hidden)
        logits: Tensor = self.classifier(torch.tanh(pooled))
        return logits


Step = Callable[[], Tensor]  # the loss of one batch that is ready
Made = tuple[nn.Module, Callable[[int], Iterator[Step]]]  # a head, and the steps of an epoch


def ours(instances: list[Instance], vectors: Vectors, config: HeadConfig) -> Made:
    head = Head(config)
    batcher = Batcher(instances, vectors, ("0", "1"), TAGS[: config.tags])

    def loss(batch: Batch) -> Tensor:
        return nn.functional.cross_entropy(
            head(batch.rows, batch.index, batch.lengths, batch.spans).logits, batch.labels
        )

    def epoch(number: int) -> Iterator[Step]:
        for batch in batcher.shuffled(np.arange(len(instances)), BATCH, (1, number), pack=4):
            yield partial(loss, batch)

    return head, epoch


def plain(instances: list[Instance], vectors: Vectors, config: HeadConfig, packed: bool) -> Made:
    head = PlainHead(config, packed)
    numbers = vectors.sentences.of_instance
    labels = torch.tensor([int(i.label or 0) for i in instances])
    layouts = [torch.tensor(i.layout) for i in instances]

    def loss(rows: list[tuple[Tensor, ...]], picked: list[Tensor], lengths: Tensor, gold: Tensor) -> Tensor:
        return nn.functional.cross_entropy(head(rows, picked, lengths), gold)

    def epoch(number: int) -> Iterator[Step]:
        order = torch.randperm(len(instances), generator=torch.Generator().manual_seed(number))
        for chosen in torch.split(order, BATCH):
            rows = [vectors.rows(numbers[[i]]) for i in chosen.tolist()]
            picked = [layouts[i] for i in chosen.tolist()]
            lengths = torch.tensor([len(layout) for layout in picked])
            yield partial(loss, rows, picked, lengths, labels[chosen])

    return head, epoch


def flair_trainer(instances: list[Instance], vectors: Vectors, config: HeadConfig) -> Made:
    import flair
    from flair.data import Dictionary, Sentence
    from flair.embeddings import DocumentRNNEmbeddings, TokenEmbeddings
    from flair.models import TextClassifier
    from flair.training_utils import store_embeddings

    class Stored(TokenEmbeddings):
        """Embeddings that were computed before and are kept with the tokens."""

        def __init__(self) -> None:
            super().__init__()
            self.name = "stored"

        @property
        def embedding_length(self) -> int:
            return sum(f.dim * f.layers for f in config.inputs)

        def _add_embeddings_internal(self, sentences: list[Sentence]) -> None:
            del sentences  # they are there

    flair.device = torch.device("cpu")
    documents = DocumentRNNEmbeddings(
        [Stored()], hidden_size=config.hidden, rnn_type="LSTM", bidirectional=True, reproject_words=False, dropout=0.0
    )
    dictionary = Dictionary(add_unk=False)
    for label in ("0", "1"):
        dictionary.add_item(label)
    head = TextClassifier(documents, label_type="relation", label_dictionary=dictionary)
    sentences = []
    for n, instance in enumerate(instances):
        sentence = Sentence(list(instance.tokens))
        rows = torch.cat(vectors.rows(vectors.sentences.of_instance[[n]]), dim=1).float()
        for token, row in zip(sentence, rows, strict=True):
            token.set_embedding("stored", row)
        sentence.add_label("relation", instance.label or "0")
        sentences.append(sentence)

    def loss(chosen: list[Sentence]) -> Tensor:
        total: Tensor = head.forward_loss(chosen)[0]
        return total / len(chosen)

    def epoch(number: int) -> Iterator[Step]:
        order = np.random.default_rng(number).permutation(len(sentences))
        for start in range(0, len(order), BATCH):
            chosen = [sentences[i] for i in order[start : start + BATCH]]
            yield partial(loss, chosen)
            store_embeddings(chosen, "cpu")

    return head, epoch


def measure(made: Made, epochs: int) -> tuple[float, float]:
    """Return the median milliseconds of a training step with its data, and those of the data alone."""
    head, epoch = made
    optimizer = torch.optim.SGD(head.parameters(), lr=0.01, fused=True)
    whole, data = [], []
    for number in range(epochs):
        start = time.process_time()
        for step in epoch(number):
            ready = time.process_time()
            optimizer.zero_grad()
            step().backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            end = time.process_time()
            if number:
                whole.append(end - start)
                data.append(ready - start)
            start = end
    return 1000 * statistics.median(whole), 1000 * statistics.median(data)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--features", default="50,1024,3x256", help="width of each feature, LAYERSxWIDTH if mixed")
    parser.add_argument("--instances", type=int, default=640)
    parser.add_argument("--pairs", type=int, default=1, help="instances of one sentence; more than 1: sentence context")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--flair", action="store_true", help="compare with flair too (slow to import)")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)

    inputs = []
    for word in options.features.split(","):
        layers, _, dim = word.rpartition("x")
        inputs.append(InputConfig(int(dim), int(layers or 1)))
    instances = make_instances(options.instances, options.pairs)
    vectors = make_vectors(instances, inputs)
    config = HeadConfig(tuple(inputs), labels=2, tags=len(TAGS) if options.pairs > 1 else 0)
    low = replace(config, precision="bfloat16")
    runs: dict[str, Callable[[], Made]] = {
        "ours, float32": lambda: ours(instances, vectors, config),
        "ours, bfloat16": lambda: ours(instances, vectors, low),
        "packed nn.LSTM": lambda: plain(instances, vectors, config, packed=True),
        "padded nn.LSTM": lambda: plain(instances, vectors, config, packed=False),
    }
    if options.flair:
        runs["flair"] = lambda: flair_trainer(instances, vectors, config)
    results = {name: measure(make(), options.epochs) for name, make in runs.items()}
    if options.json:
        print(json.dumps(results))
        return
    reference = results["packed nn.LSTM"][0]
    print(f"{options.features}, {options.pairs} pair(s) a sentence, {torch.get_num_threads()} thread")
    print(f"{'':16}{'ms/batch':>10}{'data':>8}{'speed':>8}")
    for name, (whole, data) in results.items():
        print(f"{name:16}{whole:10.1f}{data / whole:8.1%}{reference / whole:7.2f}x")


if __name__ == "__main__":
    main()
