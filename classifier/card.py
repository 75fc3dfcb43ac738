"""The card of a trained fold: what a person reads who finds its folder.

In: the facts of ``run.json`` and, once it is evaluated, of ``metrics.json``. Out: Markdown with the front matter of a
model card. Nothing of the corpus's text is in it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def card(run: Mapping[str, Any], metrics: Mapping[str, Any] | None) -> str:
    """Return the card.

    Args:
        run: the facts of ``run.json``.
        metrics: those of ``metrics.json``; None before the fold is evaluated.
    """
    corpus, config, training = run["corpus"], run["config"], run["training"]
    matter = {
        "library_name": "featstore",
        "pipeline_tag": "text-classification",
        "tags": ["relation-extraction", "biomedical"],
        "datasets": [corpus["name"]],
    }
    parts = training["instances"]
    sections = [
        "---\n" + "\n".join(f"{key}: {json.dumps(value)}" for key, value in matter.items()) + "\n---",
        f"# {config['features']} on {corpus['name']}, fold {run['fold']}",
        f"A Bi-LSTM with attention (head `{config['head']}`) that reads stored vectors of the encoders below and gives "
        f"one of the labels {', '.join(run['labels'])} to a marked pair in a sentence. It serves research; it was not "
        "made for clinical decisions.",
        "## Test part\n\n" + (_scores(metrics) if metrics else "Not evaluated yet: `cli eval`."),
        "## What it was trained on\n\n"
        + _table(
            ["", ""],
            [
                ["corpus", f"{corpus['spec']} (digest `{corpus['digest']}`)"],
                ["indicators, context", f"{corpus['indicators']}, {corpus['context']}"],
                ["instances", f"{parts['train']:,} for training, {parts['dev']:,} to choose the epoch"],
                ["epochs", f"{len(training['epochs'])}, the best was {training['best_epoch']}"],
                ["seed, threads", f"{config['seed']}, {config['threads']}"],
            ],
        ),
        "## Encoders\n\n"
        + _table(
            ["encoder", "identity", "layer", "columns", "stored as"],
            [
                [f["name"], f"`{f['identity']}`", f["layer"], f"{f['layers']} x {f['dim']}", f["dtype"]]
                for f in run["features"]
            ],
        ),
        "## Versions\n\n" + _table(["", ""], [[name, value] for name, value in run["versions"].items()]),
        "## Again\n\n`config.toml` holds every option. With the same corpus, store and versions\n\n"
        f"    cli train --config config.toml --fold {run['fold']} --run RUN\n"
        f"    cli eval --fold {run['fold']} --run RUN\n\n"
        "gives the same metrics to the last digit.",
    ]
    return "\n\n".join(sections) + "\n"


def _scores(metrics: Mapping[str, Any]) -> str:
    rows = [[f"micro over {', '.join(metrics['positive'])}", metrics["micro"]]]
    rows += [[label, metrics["per_class"][label]] for label in metrics["labels"]]
    columns = ("precision", "recall", "f1")
    cells = [[name, *(_percent(s[column]) for column in columns), f"{s['gold']:,}"] for name, s in rows]
    return _table(["", "P", "R", "F1", "gold"], cells)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.2f}"


def _table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)
