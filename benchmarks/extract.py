"""Extraction and training against transformers, on one thread of a CPU: Table 3 and section 5.3 of Hiai et al. 2021.

In: ChemProt (``--corpus chemprot:DIR``). Out: for each case ms a sample, samples a second, the speed as a multiple of
the fastest rival's, and the peak of resident memory; then the peak memory of training. Each case runs in a
process of its own. A sample is an instance (a pair) of the test part; a share of them is taken, the pairs of every k-th
document, all of a document's pairs, because that is what extraction meets.

Ours: encoders of the published sizes with random weights (``paper``: CSE 2048 units a direction, ELMo 2 x 4096/512
with 2048 filters; GloVe is the bundled one) or those that come with featstore (``shipped``), and a head of random
weights, from tokens to probabilities. In the ``tagged`` context, the paper's, every pair is encoded with its tags. In
the ``sentence`` context a sentence is encoded once and the cost is shared by its pairs. The head has the shape of the
recipe ``--head``; its products are float32 where the encoders' are, else bfloat16. The same weights at another
precision are another encoder to the store.

The rivals are BERT-base (``bert``), DistilBERT and MiniLM-L6 as transformers has them, with random weights and a
classifier. The mentions are replaced by ``@CHEMICAL$`` and ``@GENE$`` as BioBERT does (shorter than tags), and texts
are sorted by length and padded to the longest of the batch, at the batch size that a probe finds fastest. ``int8`` is
torch's dynamic quantisation; ``packed`` precisions run the linear layers on the kernels of our encoders, and
``onnxruntime int8`` is onnxruntime's dynamic quantisation, which wants onnx and onnxruntime installed.

    python benchmarks/extract.py --corpus chemprot:DIR [--instances 400]
        [--only bert,distilbert,minilm,paper,shipped,training] [--precisions float32,bfloat16,int8] [--onnx]
        [--contexts tagged,sentence] [--head best --members 1] [--results FILE]

With ``--results`` the cases are kept in a file and those that are there are not run again, so that a long table can be
made in several calls.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import json
import multiprocessing
import sys
import tempfile
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from encoder_engines import make_models
from extract_engines import make_training_store, ours, train_head
from extract_rivals import ONNX, RIVALS, Row, rival, train_bert

from featstore.corpora.chemprot import LIST_NAME, TYPES
from featstore.corpora.chemprot_files import read_list, read_release
from featstore.corpora.mark import Marking
from featstore.corpora.pairs import SplitDocument
from featstore.records import Instance

FEATURES = ("glove+cse", "glove+elmo", "glove+cse+elmo")


def resident(field: str) -> float:
    """Return a field of Linux's /proc/self/status in MB."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(float(line.split()[1]) / 1024 for line in lines if line.startswith(f"{field}:"))


def share(folder: Path, wanted: int) -> tuple[dict[str, list[Instance]], list[str]]:
    """Return about ``wanted`` test instances, all pairs of every k-th document, in each marking; and what they are.

    The markings are the contexts ``tagged`` and ``sentence``, and ``replace``.
    """
    release = read_release(folder)
    pairs = [p for p in read_list(folder / LIST_NAME, release) if release.documents[p[0]].split == "test"]
    documents = {pmid: SplitDocument.of(release.documents[pmid]) for pmid in sorted({pair[0] for pair in pairs})}
    chosen = set(list(documents)[:: max(1, len(pairs) // wanted)])
    markings = {"tagged": Marking(), "sentence": Marking(context="sentence"), "replace": Marking("replace")}
    found: dict[str, list[Instance]] = {name: [] for name in markings}
    told = []
    for what, some in (("test part", pairs), ("share", [pair for pair in pairs if pair[0] in chosen])):
        sentences = set()
        for pmid, *ids in some:
            split, (head, tail) = documents[pmid], (release.entities[pmid][id_] for id_ in ids)
            sentences.add((pmid, split.sentences_of(head, tail)[0]))
            if what == "share":
                for name, marking in markings.items():
                    found[name].append(split.instance(":".join((pmid, *ids)), head, tail, TYPES, marking))
        told.append(
            f"{what}: {len(some):,} instances, {len({pair[0] for pair in some})} documents, "
            f"{len(sentences):,} sentences, {len(some) / len(sentences):.2f} pairs each"
        )
    return found, told


# --------------------------------------------------------------------------------------------------------- cases


def run_case(case: Row, instances: Sequence[Instance], folder: Path, sender: Any) -> None:
    """Run in a process of its own: measure one case and send the result."""
    torch.set_num_threads(1)
    if case["what"] in (*RIVALS, "training bert"):
        name = "distilbert" if case["what"] == "distilbert" else "bert"
        import_module(f"transformers.models.{name}.modeling_{name}")  # the code itself shall not count
    before = resident("VmRSS")
    if case["what"] == "training":
        row = train_head(instances, folder, case)
    elif case["what"] == "training bert":
        row = train_bert(instances)
    else:
        row = rival(instances, case) if case["what"] in RIVALS else ours(instances, folder, case)
    sender.send({**case, **row, "samples": len(instances), "peak MB": resident("VmHWM"), "base MB": before})


def measure(case: Row, instances: Sequence[Instance], folder: Path) -> Row:
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=run_case, args=(case, instances, folder, sender))
    process.start()
    sender.close()
    try:
        row: Row = receiver.recv()
    except EOFError as error:
        raise SystemExit(f"the process of {case} died") from error
    process.join()
    return row


def cases(arguments: argparse.Namespace) -> list[Row]:
    """Return the cases that were asked for, those of the rivals first."""
    only, precisions = arguments.only.split(","), arguments.precisions.split(",")
    head = {"head": arguments.head, "members": arguments.members}
    found: list[Row] = []
    theirs = [*precisions, *(f"packed {precision}" for precision in precisions), *([ONNX] if arguments.onnx else [])]
    for name in RIVALS:
        if name in only:
            found += [{"what": name, "context": "replace", "precision": precision} for precision in theirs]
    for size in ("paper", "shipped"):
        if size in only:
            found += [
                {"what": "ours", "size": size, "features": features, "context": context, "precision": precision, **head}
                for context in arguments.contexts.split(",")
                for precision in precisions
                for features in FEATURES
            ]
    if "training" in only:
        found.append({"what": "training bert", "context": "replace", "precision": "float32"})
        found += [
            {"what": "training", "features": FEATURES[-1], "context": context, "precision": "float32"}
            for context in arguments.contexts.split(",")
        ]
    return found


def report(rows: Sequence[Row]) -> None:
    """Print extraction, then training."""
    known = [row for row in rows if row["what"] in RIVALS]
    best = min((row["seconds"] / row["samples"] for row in known), default=float("nan"))
    plain = min((r["seconds"] / r["samples"] for r in known if "packed" not in r["precision"]), default=float("nan"))
    line = "{:40}{:10}{:17}{:>7}{:>11}{:>11}{:>10}{:>11}{:>9}"
    print(
        line.format(
            "extraction", "context", "precision", "batch", "ms/sample", "samples/s", "x rival", "x packed", "peak MB"
        )
    )
    for row in rows:
        if not row["what"].startswith("training"):
            each = row["seconds"] / row["samples"]
            name = RIVALS.get(row["what"]) or f"{row['features']}, {row['size']}, {row['head']}"
            speeds = f"{1000 * each:.2f}", f"{1 / each:.1f}", f"{plain / each:.2f}", f"{best / each:.2f}"
            print(line.format(name, row["context"], row["precision"], row["batch"], *speeds, f"{row['peak MB']:.0f}"))
    training = [row for row in rows if row["what"].startswith("training")]
    if training:
        print(f"\n{'training, batches of 32':44}{'ms/sample':>11}{'peak MB':>9}{'above imports':>15}")
    for row in training:
        name = "BERT-base, fine-tuned" if "bert" in row["what"] else f"head on {row['features']}, {row['context']}"
        above = row["peak MB"] - row["base MB"]
        print(f"{name:44}{1000 * row['seconds'] / row['samples']:11.1f}{row['peak MB']:9.0f}{above:15.0f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", required=True, help="chemprot:DIR")
    parser.add_argument("--instances", type=int, default=400, help="about so many of the test part")
    parser.add_argument("--only", default="bert,distilbert,minilm,paper,shipped,training")
    parser.add_argument("--precisions", default="float32,bfloat16,int8")
    parser.add_argument("--onnx", action="store_true", help="run the rivals on onnxruntime too")
    parser.add_argument("--contexts", default="tagged,sentence")
    parser.add_argument("--head", default="paper", help="the recipe that the head's shape is of")
    parser.add_argument("--members", type=int, help="heads in it; by default as many as the recipe has")
    parser.add_argument("--results", type=Path, help="keep the cases here, and do not run those that are there")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    chosen, told = share(Path(arguments.corpus.removeprefix("chemprot:")), arguments.instances)
    print("\n".join(told))
    kept = arguments.results
    rows: list[Row] = json.loads(kept.read_text()) if kept and kept.exists() else []
    with tempfile.TemporaryDirectory() as folder:
        if "paper" in arguments.only:
            make_models(Path(folder), "full")
        for case in cases(arguments):
            if not any(case.items() <= row.items() and row["samples"] == len(chosen[case["context"]]) for row in rows):
                instances = chosen[case["context"]]
                if case["what"] == "training":
                    make_training_store(instances, Path(folder) / case["context"])
                rows.append(measure(case, instances, Path(folder)))
                print(json.dumps(rows[-1]), file=sys.stderr)
                if kept:
                    kept.write_text(json.dumps(rows, indent=1))
    report(rows)


if __name__ == "__main__":
    main()
