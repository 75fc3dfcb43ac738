"""The card of a trained fold, and of a bundle: what a person reads who finds its folder.

In: the facts of ``run.json`` and, once it is evaluated, of ``metrics.json``. Out: Markdown with the front matter of a
model card. Nothing of the corpus's text is in it.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from classifier.data.features import encoder_of
from classifier.runs.facts import RunFacts, SystemFacts, TrainingFacts
from classifier.scores.metrics import Metrics
from classifier.scores.percent import percent
from classifier.training.config import recipe
from featstore.errors import count_of
from featstore.labels import meaning_of
from featstore.markdown import markdown_table

# Types as curators write them; any other is its own example.
_EXAMPLES = {"chem": "CHEMICAL", "dise": "DISEASE"}


def card(run: RunFacts, metrics: Metrics | None) -> str:
    """Return the card.

    Args:
        run: the facts of ``run.json``.
        metrics: those of ``metrics.json``; None before the fold is evaluated.
    """
    again = (
        "## Again\n\n`config.toml` holds every option. With the same corpus, vectors and versions of the software,\n\n"
        f"    cli train --config config.toml --fold {run.fold} --run RUN --store STORE\n"
        f"    cli eval --fold {run.fold} --run RUN --store STORE\n\n"
        "give the same metrics to the last digit."
    )
    return "\n\n".join([_matter(run), *_body(run, metrics), again]) + "\n"


def bundle_card(run: RunFacts, metrics: Metrics | None, places: Mapping[str, str | None], licence: str) -> str:
    """Return the card of a bundle.

    Args:
        run: the facts of ``run.json``.
        metrics: those of ``metrics.json``; None if the fold was not evaluated.
        places: for each encoder its place in the bundle; None: not in it.
        licence: of the model; ``other`` if nobody has said.
    """
    kinds = run.pairing.kinds if run.pairing else ()
    head, tail = (_EXAMPLES.get(kind, kind.upper()) for kind in (kinds or (("chem", "gene"),))[0])
    use = (
        f"## Use\n\nPairs: {', '.join(f'{a} with {b}' for a, b in kinds) or 'not recorded'}, in one sentence.\n\n"
        "    cli extract --model MODEL/ documents.jsonl -o relations.jsonl\n\n"
        "    from classifier import Extractor\n"
        f'    Extractor.load("MODEL/").extract(text, [(0, 7, "{head}"), (17, 22, "{tail}")])'
    )
    absent = "not in the bundle: it comes with featstore, or is named with --encoders"
    where = "## Where the encoders are\n\n" + markdown_table(
        ["encoder", "place"], [[name, place or absent] for name, place in places.items()]
    )
    stated = "Not stated by" if licence == "other" else f"{licence}, as stated by"
    terms = (
        f"## Licence\n\n{stated} whoever made the bundle. The terms of the corpus and of the encoders apply as well."
    )
    again = "## Again\n\n" + "\n".join(f"    {command}" for command in _commands(run))
    return "\n\n".join([_matter(run, license=licence.lower()), *_body(run, metrics), again, use, where, terms]) + "\n"


def _commands(run: RunFacts) -> list[str]:
    """Return the commands that make a bundle again, with every option that differs from its default."""
    if run.system:
        return _commands_of_system(run, run.system)
    corpus, fold, (_, config) = run.corpus, str(run.fold), run.of_head
    marked = ["--corpus", corpus.spec, "--context", corpus.context, "--indicators", corpus.indicators]
    usual = asdict(recipe(config.head, features=config.features))
    changed = [word for name, value in asdict(config).items() if value != usual[name] for word in _option(name, value)]
    train = ["--features", config.features, "--head", config.head, *changed, "--fold", fold, "--run", "RUN"]
    return [
        _featurize(run, marked),
        shlex.join(["cli", "train", *marked, *train]),
        shlex.join(["cli", "eval", "--fold", fold, "--run", "RUN"]),
        shlex.join(["cli", "bundle", "--run", "RUN", "--fold", fold, "--without-encoders", "-o", "MODEL"]),
    ]


def _commands_of_system(run: RunFacts, system: SystemFacts) -> list[str]:
    """Return the commands that make a bundle of a system other than the head again."""
    corpus, fold = run.corpus, str(run.fold)
    marked = ["--corpus", corpus.spec, "--context", corpus.context, "--indicators", corpus.indicators]
    options = [word for name, value in system.options.items() if value != "" for word in _option(name, value)]
    return [
        *([_featurize(run, marked)] if run.features else []),
        shlex.join(["cli", "train", "--system", system.name, *marked, *options, "--fold", fold, "--run", "RUN"]),
        shlex.join(["cli", "eval", "--fold", fold, "--run", "RUN"]),
        shlex.join(["cli", "bundle", "--run", "RUN", "--fold", fold, "-o", "MODEL"]),
    ]


def _featurize(run: RunFacts, marked: Sequence[str]) -> str:
    """Return the command that makes the vectors: each encoder with its layers, at its precision."""
    specs, precisions = dict[str, None](), set()
    for feature in run.features:
        facts = run.encoders.get(feature.name, {})
        layers, name = facts.get("layers"), encoder_of(feature.name)
        specs[f"{name}[{','.join(map(str, layers))}]:DIR" if isinstance(layers, list | tuple) else name] = None
        precisions.add(str(facts.get("precision", "float32")))
    lower = sorted(precisions - {"float32"})
    more = ["--unlabelled", run.config.unlabelled] if run.config and run.config.unlabelled else []
    return shlex.join(
        ["cli", "featurize", "--encoders", ",".join(specs), *marked, *more]
        + (["--precision", lower[0]] if lower else [])
    )


def _option(name: str, value: object) -> list[str]:
    flag = name.replace("_", "-")
    if isinstance(value, bool):
        return [f"--{flag}" if value else f"--no-{flag}"]
    return [f"--{flag}", str(value)]


def _matter(run: RunFacts, **more: str) -> str:
    matter = {
        "library_name": "featstore",
        "pipeline_tag": "text-classification",
        "tags": ["relation-extraction", "biomedical"],
        "datasets": [run.corpus.spec.partition(":")[0]],
        **more,
    }
    return "---\n" + "\n".join(f"{key}: {json.dumps(value)}" for key, value in matter.items()) + "\n---"


def _body(run: RunFacts, metrics: Metrics | None) -> list[str]:
    corpus, training = run.corpus, run.training
    parts = training.instances
    label, what, seed, threads = _model(run)
    return [
        f"# {label} on {corpus.spec.partition(':')[0]}, fold {run.fold}",
        f"{what} one of the labels {', '.join(run.labels)} to a marked pair in a sentence. It serves research; it was "
        "not made for clinical decisions.",
        *_labels(run),
        "## Test part\n\n" + (_scores(metrics) if metrics else "It has not been evaluated yet; `cli eval` does that."),
        "## What it was trained on\n\n"
        + markdown_table(
            ["", ""],
            [
                ["corpus", f"{corpus.spec} (digest `{corpus.digest}`)"],
                ["indicators, context", f"{corpus.indicators}, {corpus.context}"],
                ["instances", f"{parts.train:,} for training, {parts.dev:,} to choose the epoch"],
                *([["pairs without labels", f"{parts.unlabelled:,}"]] if parts.unlabelled else []),
                ["epochs", f"{len(training.epochs)}, the best was {training.best_epoch}"],
                *([["fitted anew", _refit(training)]] if training.refit else []),
                ["seed, threads", f"{seed}, {threads}"],
            ],
        ),
        *_made_of(run),
        "## Versions\n\n" + markdown_table(["", ""], [[name, value] for name, value in run.versions.items()]),
    ]


def _labels(run: RunFacts) -> list[str]:
    """Return what the labels mean, in the words of the output; nothing for those of a user's own corpus."""
    meanings = {label: meaning_of(label, run.corpus.name) for label in run.labels}
    if not any(meanings.values()):
        return []
    rows = [
        [label, str(meaning) if meaning else "-" if label in run.positive else "none of these"]
        for label, meaning in meanings.items()
    ]
    return ["## Labels\n\n" + markdown_table(["label", "what it says of the pair"], rows)]


def _model(run: RunFacts) -> tuple[str, str, int, int]:
    """Return what tables call a model, the beginning of a sentence that says what it is, its seed and its threads."""
    if system := run.system:
        what = f"The system `{system.name}`, with {system.parameters:,} fitted numbers, gives"
        return system.label, what, int(system.options["seed"]), int(system.options["threads"])
    _, config = run.of_head
    what = f"A Bi-LSTM with attention (head `{config.head}`) that reads stored vectors of the encoders below and gives"
    return config.features, what, config.seed, config.threads


def _made_of(run: RunFacts) -> list[str]:
    """Return the parts of a card that say what a model reads and, for a system other than the head, its options."""
    parts = []
    if system := run.system:
        rows = [[name, f"`{value}`"] for name, value in system.options.items()]
        parts.append("## Options\n\n" + markdown_table(["option", "value"], rows))
        if system.sources:
            digests = [[name, f"`{digest}`"] for name, digest in system.sources.items()]
            parts.append("## Fitted from\n\n" + markdown_table(["file", "sha256"], digests))
    if run.features or not run.system:
        rows = [[f.name, f"`{f.identity}`", f.layer, f"{f.layers} x {f.dim}", f.dtype] for f in run.features]
        parts.append("## Encoders\n\n" + markdown_table(["encoder", "identity", "layer", "columns", "stored as"], rows))
    return parts


def _refit(training: TrainingFacts) -> str:
    return (
        f"on both parts together, for {count_of(len(training.refit), 'epoch')}; so no F1 on the dev part can be given"
    )


def _scores(metrics: Metrics) -> str:
    rows = [(f"micro over {', '.join(metrics.positive)}", metrics.micro), *metrics.per_class.items()]
    cells = [[name, *map(percent, (s.precision, s.recall, s.f1)), f"{s.gold:,}"] for name, s in rows]
    return markdown_table(["", "P", "R", "F1", "gold"], cells)
