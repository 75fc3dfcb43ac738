"""How long an epoch of the head takes and how much memory it needs, against the usual ways to do it. One thread.

In: the encoders (their widths count, and how fast they are) and a number of instances. Out: a table of the seconds of
an epoch of GAD's size (135 batches of 32, extrapolated from the median batch after the first epoch), of the share that
goes into preparing batches, and of the peak memory, each contender in a process of its own. Vectors are random float16
in memory, sentence lengths follow GAD's (mean 34 with the four tags, longest about 110), words are the sample corpus's.
CPU time is counted, so that other processes on the machine disturb little. Compared are

    best, paper   classifier.training.loop's step with the recipe's head (paper: in float32 and in bfloat16); best
                  scores each batch twice, as --consistency does, or once, without it
    packed        the paper's head on nn.LSTM and pack_padded_sequence, shuffled batches
    padded        the same on padded batches
    flair         flair's TextClassifier on DocumentRNNEmbeddings, its embeddings kept in memory
    on the fly    ``paper, bfloat16``, with the sentences of each batch encoded anew by our encoders

all with one optimiser. flair's head has no attention and mixes no layers. ``--size full`` takes CSE and ELMo of the
published sizes with random weights in the place of the bundled ones.

    python benchmarks/train.py [--encoders glove,cse,elmo] [--size full] [--instances 640] [--epochs 3] [--pairs 1]
        [--only "A;B"]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from encoder_engines import make_models
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

from classifier.data.batch import Batcher
from classifier.data.features import Feature
from classifier.data.vectors import DistinctSentences, Vectors
from classifier.head.config import HeadConfig, InputConfig
from classifier.head.model import Head, LayerMix
from classifier.training.config import TrainConfig, recipe
from classifier.training.loop import loss_of
from featstore.corpora import load_corpus
from featstore.encoders import load_encoder
from featstore.ragged import Ragged
from featstore.records import Instance
from featstore.stores import FeatureMeta
from featstore.stores.memory import MemoryStore

BATCH = 32
BATCHES = 135  # of an epoch of a fold of GAD
TAGS = ("<gene>", "</gene>", "<dise>", "</dise>")


def make_instances(count: int, pairs: int) -> list[Instance]:
    """Make instances of random lengths; ``pairs`` to a sentence, with tag vectors if there is more than one."""
    rng = np.random.default_rng(0)
    words = sorted({word for instance in load_corpus("sample").instances for word in instance.tokens})
    instances: list[Instance] = []
    while len(instances) < count:
        n = len(instances)
        length = int(np.clip(rng.lognormal(3.35, 0.42), 6, 106))
        tokens = tuple(rng.choice(words, length).tolist())
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
    sentences = DistinctSentences.of(instances)
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
    """The same head, written in the usual way with nn.LSTM."""

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


def ours(
    instances: list[Instance],
    vectors: Vectors,
    config: HeadConfig,
    encoders: Sequence[str] = (),
    training: TrainConfig | None = None,
) -> Made:
    head, training = Head(config), training or TrainConfig()
    batcher = Batcher(instances, vectors, ("0", "1"), TAGS[: config.tags])
    loaded = [load_encoder(name) for name in encoders]

    def epoch(number: int) -> Iterator[Step]:
        for batch in batcher.shuffled(np.arange(len(instances)), BATCH, (1, number), pack=4):
            for encoder in loaded:
                encoder.encode([instances[position].tokens for position in batch.positions])
            yield partial(loss_of, head, batch, training)

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
        """Embeddings that were computed earlier and are kept with the tokens."""

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


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of a training step with its data, and of the data alone, in seconds of CPU time; peak memory in MB."""

    step: float
    data: float
    memory: float


def measure(make: Callable[[], Made], epochs: int, answer: multiprocessing.SimpleQueue[Cost]) -> None:
    """Measure one contender; the body of a process."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    head, epoch = make()
    optimizer = torch.optim.SGD(head.parameters(), lr=0.01, fused=True)
    whole, data = [], []
    for number in range(epochs):
        start = time.process_time()
        for step in epoch(number):
            ready = time.process_time()
            optimizer.zero_grad()
            step().backward()
            optimizer.step()
            end = time.process_time()
            if number:
                whole.append(end - start)
                data.append(ready - start)
            start = end
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    answer.put(Cost(statistics.median(whole), statistics.median(data), peak))


def contenders(options: argparse.Namespace, names: Sequence[str]) -> dict[str, Callable[[], Made]]:
    """Return the function that makes each contender; ``names`` are the encoders' specs."""
    inputs = tuple(InputConfig(e.dim // e.layers, e.layers) for e in map(load_encoder, names))
    instances = make_instances(options.instances, options.pairs)
    vectors = make_vectors(instances, list(inputs))
    tags = len(TAGS) if options.pairs > 1 else 0

    def config(name: str, **changes: object) -> HeadConfig:
        return recipe(name, **changes).head_config(inputs, 2, tags)

    low = config("paper", precision="bfloat16")
    return {
        "best": lambda: ours(instances, vectors, config("best"), training=recipe("best")),
        "best, once": lambda: ours(instances, vectors, config("best")),
        "paper": lambda: ours(instances, vectors, config("paper")),
        "paper, bfloat16": lambda: ours(instances, vectors, low),
        "packed": lambda: plain(instances, vectors, config("paper"), packed=True),
        "padded": lambda: plain(instances, vectors, config("paper"), packed=False),
        "flair": lambda: flair_trainer(instances, vectors, config("paper")),
        "on the fly": lambda: ours(instances, vectors, low, names),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoders", default="glove,cse,elmo", help="the bundled encoders that are stacked")
    parser.add_argument("--size", choices=("shipped", "full"), default="shipped", help="of CSE and ELMo")
    parser.add_argument("--instances", type=int, default=640)
    parser.add_argument("--pairs", type=int, default=1, help="instances of one sentence; more than 1: sentence context")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--only", default="", help="contenders, separated by semicolons; empty: all")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.pairs > 1 and not options.only:
        parser.error("flair's trainer knows no sentence context; name the contenders with --only")

    with tempfile.TemporaryDirectory() as folder:
        names = options.encoders.split(",")
        if options.size == "full":
            make_models(Path(folder), "full")
            names = [name if name == "glove" else f"{name}:{folder}/{name}" for name in names]
        report(options, names)


def report(options: argparse.Namespace, names: Sequence[str]) -> None:
    """Measure the contenders and print the table."""
    forking = multiprocessing.get_context("fork")  # a contender starts with the data and nothing of the others
    made = contenders(options, names)
    results: dict[str, Cost] = {}
    for name in options.only.split(";") if options.only else made:
        answer = forking.SimpleQueue()
        process = forking.Process(target=measure, args=(made[name], options.epochs, answer))
        process.start()
        results[name] = answer.get()
        process.join()
    if options.json:
        print(json.dumps({name: [cost.step, cost.data, cost.memory] for name, cost in results.items()}))
        return
    what = f"{options.encoders} ({options.size}), {options.pairs} pair(s) a sentence"
    print(f"{what}, one thread, an epoch of {BATCHES} batches of {BATCH}")
    print(f"{'':16}{'s/epoch':>10}{'data':>8}{'peak MB':>10}")
    for name, cost in results.items():
        print(f"{name:16}{BATCHES * cost.step:10.1f}{cost.data / cost.step:8.1%}{cost.memory:10.0f}")


if __name__ == "__main__":
    main()
