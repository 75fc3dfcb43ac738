"""``cli entities``: the tagger that finds the mentions in plain text."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from classifier.commands.options import GB, RamBudget, with_options_of
from classifier.commands.tag import tag_command
from classifier.entities.config import KEEP, TaggerConfig
from classifier.scores.percent import percent
from featstore.addresses import spelled
from featstore.commands.console import (
    command,
    duration,
    err,
    escape,
    out,
    print_json,
    print_table,
    progress_bar,
    show_log,
    tell,
)
from featstore.commands.options import (
    AsJson,
    Backend,
    Commands,
    Dtype,
    EncoderDevice,
    EncoderPrecision,
    Store,
    check_store_to_fill,
    check_stored,
    encoder_specs,
)
from featstore.errors import UsageError, count_of
from featstore.files import check_output_folder, check_readable_folder

if TYPE_CHECKING:
    from classifier.entities.corpora import MentionCorpus
    from classifier.entities.estimate import TaggerPlan
    from classifier.entities.facts import TaggerEpoch
    from classifier.training.epoch import Notice

TAGGER = Path("runs/tagger")

Corpora = Annotated[
    str,
    typer.Option(
        "--corpus",
        help="Corpora with annotated mentions, separated by commas: sample, chemprot:DIR, bc5cdr:DIR, biored:FILE, or "
        "files:DIR with train.*, dev.* and test.* in any document format.",
    ),
]
Folder = Annotated[Path, typer.Option("--run", help="Folder of the tagger, or its address.")]


def _specs(corpora: str) -> tuple[str, ...]:
    specs = tuple(spec.strip() for spec in corpora.split(",") if spec.strip())
    if not specs:
        raise UsageError("--corpus is empty; name at least one, for instance sample.")
    return specs


def _load(corpora: str) -> list[MentionCorpus]:
    from classifier.entities.corpora import load_mentions

    return [load_mentions(spec) for spec in _specs(corpora)]


def featurize_command(
    encoders: Annotated[
        str, typer.Option(help="Encoders, separated by commas: NAME for the bundled one, NAME:PATH for your own.")
    ] = "glove,bioglove,elmo",
    corpora: Corpora = "sample",
    store: Store = "features",
    backend: Backend = "hdf5",
    dtype: Dtype = "float16",
    precision: EncoderPrecision = "float32",
    device: EncoderDevice = "cpu",
    workers: Annotated[
        int | None, typer.Option(min=1, help="Number of processes. By default a probe finds what is fastest.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Encode the sentences of corpora of mentions that the store does not hold yet."""
    from classifier.entities.runs import corpus_sentences
    from featstore.encoders.contract import EncoderOptions
    from featstore.featurize.encode import featurize

    show_log()
    check_store_to_fill(store)
    options = EncoderOptions(precision=precision, device=device)
    sentences = corpus_sentences(_load(corpora))
    results = []
    for spec in encoder_specs(encoders):
        with progress_bar(spec, "sentences") as progress:
            results.append(
                featurize(
                    sentences,
                    spec,
                    root=store,
                    dtype=dtype,
                    backend=backend,
                    workers=workers,
                    progress=progress,
                    options=options,
                )
            )
    if as_json:
        print_json(results)
    else:
        print_table(
            f"Stored in {store}",
            ["encoder", "sentences", "were there", "encoded", "failed", "time"],
            [
                [f.encoder, *(f"{n:,}" for n in (f.sentences, f.stored, f.encoded, len(f.failed))), duration(f.seconds)]
                for f in results
            ],
        )
    if any(result.failed for result in results):
        err.print("what failed is missing from the store; running the command again tries it again.", soft_wrap=True)
        raise typer.Exit(3)


@with_options_of(TaggerConfig)
def train_command(
    training: dict[str, Any],
    corpora: Corpora = "sample",
    run: Folder = TAGGER,
    store: Store = "features",
    ram_budget: RamBudget = 4.0,
    again: Annotated[
        bool,
        typer.Option("--again", help="Train the tagger again if it is trained already; otherwise it is kept as it is."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be trained and estimate the time, and train nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Train a tagger and its sentence filter on stored vectors; an interrupted training goes on where it stopped."""
    from classifier.entities.filter_facts import has_filter
    from classifier.entities.filter_training import train_filter
    from classifier.entities.runs import plan_tagger, train_tagger
    from classifier.entities.trained import trained_tagger

    check_output_folder(run, or_address=True)
    check_stored(store)
    config = TaggerConfig(_specs(corpora), **training)
    loaded = _load(corpora)
    held = int(ram_budget * GB)
    kept = None if again else trained_tagger(loaded, store, config, run, tell=_tell)
    if dry_run and (as_json or not kept):
        _show_plan(run, None if kept else plan_tagger(loaded, store, config, run, ram_budget=held), as_json)
        return
    trained = kept or train_tagger(
        loaded, store, config, run, announce=_announce, progress=_tell_epoch, tell=_tell, ram_budget=held
    )
    if not (dry_run or has_filter(run)):
        if any(corpus.part("dev") for corpus in loaded):
            train_filter(run, loaded, store, tell=_tell, ram_budget=held)
        else:
            tell("no sentence filter was trained, because no corpus has a dev part to choose its thresholds by.")
    if as_json:
        print_json({"run": run, "kept": kept is not None, "training": trained.training})
    else:
        measured = trained.training
        best = measured.best
        row = [str(len(measured.epochs)), str(best.number), percent(best.dev_f1), duration(measured.seconds)]
        print_table(spelled(run), ["epochs", "best epoch", "dev F1", "time"], [row])
    if kept:
        since = f"since {kept.ended:%Y-%m-%d %H:%M}"
        tell(
            f"the tagger in {spelled(run)} is trained already, {since}, and was kept as it is; --again trains it again."
        )
    if kept or not as_json:
        options = ("--run", spelled(run), "--corpus", corpora, "--store", store)
        tell(f"evaluate it with: {command('entities', 'eval', *options)}")


def _show_plan(run: Path, plan: TaggerPlan | None, as_json: bool) -> None:
    """Print what would be trained; None: nothing, for the tagger that is there is kept."""
    if as_json:
        print_json({"run": run, "kept": plan is None, "plan": plan})
    elif plan:
        out.print(escape(f"{_plan_line(plan)} -> {spelled(run)}"), soft_wrap=True)


def _announce(plan: TaggerPlan) -> None:
    tell(f"training a {_plan_line(plan)}")


def _plan_line(plan: TaggerPlan) -> str:
    """Return what will be trained, on how much, and about how long."""
    epochs = count_of(plan.epochs - plan.done, "epoch") + (f", after {plan.done} that are done" if plan.done else "")
    return (
        f"tagger of {', '.join(plan.types)} on {plan.features} with {plan.parameters:,} parameters, "
        f"{count_of(plan.train, 'sentence')} (and {plan.dev:,} of the dev parts), {epochs}, about "
        f"{duration(plan.seconds)}"
    )


def _tell(notice: Notice) -> None:
    tell(notice.text)


def _tell_epoch(epoch: TaggerEpoch) -> None:
    dev = "" if epoch.dev_f1 is None else f", dev F1 {percent(epoch.dev_f1)}{' *' if epoch.best else ''}"
    err.print(f"epoch {epoch.number} of {epoch.of}: loss {epoch.train_loss:.4f}{dev}, {epoch.seconds:.1f} s")


def filter_command(
    corpora: Corpora = "sample",
    run: Folder = TAGGER,
    keep: Annotated[
        float,
        typer.Option(help="Share of the sentences with a pair, in the dev parts, that the filter shall keep."),
    ] = KEEP,
    store: Store = "features",
    ram_budget: RamBudget = 4.0,
    as_json: AsJson = False,
) -> None:
    """Train the sentence filter of a tagger anew: what tells which sentences can hardly hold a pair to relate."""
    from classifier.entities.filter_training import train_filter

    check_readable_folder(run)
    check_stored(store)
    trained = train_filter(run, _load(corpora), store, keep=keep, tell=_tell, ram_budget=int(ram_budget * GB)).facts
    if as_json:
        print_json(trained)
        return
    rows = [
        [" and ".join(p.types), f"{p.sentences:,}", f"{p.holding:,}", *map(percent, (p.read, p.read_tokens, p.kept))]
        for p in trained.pairs
    ]
    header = ["pair", "dev sentences", "with a pair", "read %", "tokens read %", "pairs kept %"]
    print_table(f"{spelled(run)}, {duration(trained.seconds)}", header, rows)


def eval_command(
    corpora: Corpora = "sample",
    run: Folder = TAGGER,
    part: Annotated[str, typer.Option(help="Part of the corpora: test, dev or train.")] = "test",
    store: Store = "features",
    ram_budget: RamBudget = 4.0,
    as_json: AsJson = False,
) -> None:
    """Evaluate a tagger: precision, recall and F1 of the mentions, exact and relaxed, by type."""
    from classifier.entities.corpora import SPLITS
    from classifier.entities.facts import MeasuredMentions
    from classifier.entities.runs import evaluate_tagger
    from featstore.errors import check_choice

    check_choice("the part", part, SPLITS)
    check_stored(store)
    held = int(ram_budget * GB)
    found = {c.spec: evaluate_tagger(run, c, store, part, tell=_tell, ram_budget=held) for c in _load(corpora)}
    if as_json:
        print_json({spec: MeasuredMentions.of(scores) for spec, scores in found.items()})
        return
    header = ["type", "annotated", "found", "P", "R", "F1", "relaxed P", "relaxed R", "relaxed F1"]
    for spec, scores in found.items():
        rows = [
            [type_, f"{exact.annotated:,}", f"{exact.found:,}"]
            + [percent(value) for s in (exact, scores.relaxed[type_]) for value in (s.precision, s.recall, s.f1)]
            for type_, exact in scores.exact.items()
        ]
        print_table(f"{spec}, {part} part", header, rows)


COMMANDS: Commands = {
    "featurize": featurize_command,
    "train": train_command,
    "filter": filter_command,
    "eval": eval_command,
    "tag": tag_command,
}
