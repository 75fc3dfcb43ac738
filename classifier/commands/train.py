"""``cli train``: train the head on stored vectors, or fit another system."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from classifier.commands.epochs import plan_line, plan_notes, training_display
from classifier.commands.options import (
    GB,
    RUNS,
    NewRun,
    RamBudget,
    Runs,
    check_features,
    with_runs_found,
    with_system_options,
)
from classifier.scores.percent import percent
from classifier.systems.table import system_names, systems_in_words
from classifier.training.config import HEAD
from featstore.addresses import address_of, spelled
from featstore.commands.console import (
    command,
    duration,
    escape,
    out,
    print_json,
    print_table,
    tell,
)
from featstore.commands.options import (
    AsJson,
    Commands,
    Context,
    Corpus,
    Indicators,
    Instances,
    Store,
    given,
    one_of,
)
from featstore.errors import UsageError
from featstore.files import check_output_folder

if TYPE_CHECKING:
    from classifier.runs.config import RunConfig
    from classifier.runs.facts import TrainingFacts
    from classifier.systems.folds import AnyPlan
    from classifier.systems.trained import TrainedFold
    from featstore.corpora import CorpusChoice


@with_system_options
def train_command(
    training: dict[str, object],
    called: typer.Context,
    system: Annotated[
        str,
        typer.Option(
            "--system",
            metavar="|".join(system_names()),
            callback=one_of(system_names),
            help="What is trained: the head on stored vectors, or another system. " + systems_in_words(),
        ),
    ] = HEAD,
    features: Annotated[
        str | None,
        typer.Option(
            help="What the head reads: names of feature sets joined by +. Of ELMo's layers the head learns a mix; "
            "elmo\\[top], elmo\\[avg] and elmo[0] choose, and elmo[1,2] mixes some; likewise bert. NAME@ID picks "
            "one of several sets."
        ),
    ] = "glove+cse+elmo",
    corpus: Corpus = "sample",
    fold: Annotated[
        int, typer.Option(min=1, help="The fold to train. A corpus with one released split has fold 1.")
    ] = 1,
    run: NewRun = None,
    runs: Runs = RUNS,
    store: Store = "features",
    context: Context = "tagged",
    indicators: Indicators = "tags",
    instances: Instances = None,
    seed: Annotated[int, typer.Option(help="Seed of the initial weights, the order of the batches and dropout.")] = 1,
    config_file: Annotated[
        Path | None,
        typer.Option(
            "--config",
            help="Repeat a run: the path of its config.toml, which takes the place of the options that say what a run "
            "is.",
        ),
    ] = None,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Log every epoch for TensorBoard in the fold's folder.")
    ] = False,
    ram_budget: RamBudget = 4.0,
    again: Annotated[
        bool,
        typer.Option("--again", help="Train the fold again if it is trained already; by default it is kept as it is."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be trained and estimate the time, and train nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Train a model on one fold of a corpus: the head on stored vectors, or another system."""
    from classifier.runs.config import read_config_file, run_corpus
    from classifier.runs.find import run_place
    from classifier.systems.choice import options_of, run_name
    from classifier.systems.fitting import reads_of
    from classifier.systems.folds import plan_fold, train_fold
    from classifier.systems.trained import trained_fold
    from featstore.corpora import CorpusChoice

    marked = CorpusChoice(corpus, indicators, context, instances)
    if config_file:
        own = ("system", "features", "corpus", "context", "indicators", "instances", "seed", *training)
        if clashing := given(called, own):
            raise UsageError(f"--config says what the run is; leave out {', '.join(clashing)}.")
        config = read_config_file(config_file)
    else:
        options = {"features": features, "seed": seed, **with_runs_found(training, runs)}
        config = _config(called, marked, system, options)
    reads = config.train.features if config.system is None else reads_of(options_of(config.system))
    if reads:
        check_features([reads], store)
    folder = runs / run_name(config) if run is None else run_place(run, runs)
    check_output_folder(folder / f"fold-{fold}", or_address=True)
    if tensorboard and address_of(folder):
        raise UsageError("--tensorboard writes to this machine, and the run is at an address; leave it out.")
    held = int(ram_budget * GB)
    loaded = run_corpus(config)
    kept = None if again else trained_fold(loaded, store, config, fold, folder, tell=lambda notice: tell(notice.text))
    if dry_run and (as_json or not kept):
        _show_plan(folder, None if kept else plan_fold(loaded, store, config, fold, folder, ram_budget=held), as_json)
        return
    if kept:
        _report(folder, fold, kept.training, store, as_json, kept)
        return
    with training_display(folder / f"fold-{fold}" / "tensorboard" if tensorboard else None) as display:
        measured = train_fold(
            loaded,
            store,
            config,
            fold,
            folder,
            announce=display.announce,
            progress=display.progress,
            ram_budget=held,
        )
    _report(folder, fold, measured, store, as_json)


def _config(called: typer.Context, corpus: CorpusChoice, system: str, options: dict[str, object]) -> RunConfig:
    """Return what the options say that the run is."""
    from classifier.systems.choice import run_config

    if system != HEAD:  # the recipe and the features of the head are no defaults of other systems
        said = given(called, ("head", "features"))
        options |= {name: None for name in ("head", "features") if f"--{name}" not in said}
    return run_config(corpus, system, options)


def _show_plan(folder: Path, plan: AnyPlan | None, as_json: bool) -> None:
    """Print what would be trained; None: nothing, for the fold that is there is kept."""
    if as_json:
        print_json({"run": folder, "kept": plan is None, "plan": plan})
    elif plan:
        out.print(escape(f"{plan_line(plan)} -> {spelled(folder)}"), soft_wrap=True)
        for line in plan_notes(plan):
            tell(line)


def _report(
    folder: Path, fold: int, measured: TrainingFacts, store: str, as_json: bool, kept: TrainedFold | None = None
) -> None:
    """Print what the training measured, and how to go on."""
    if as_json:
        print_json({"run": folder, "fold": fold, "kept": kept is not None, "best": measured.best, "training": measured})
    else:
        figures = [str(fold), str(len(measured.epochs)), str(measured.best_epoch), percent(measured.best.dev_f1)]
        print_table(
            spelled(folder),
            ["fold", "epochs", "best epoch", "dev F1", "time"],
            [[*figures, duration(measured.seconds)]],
        )
    if kept:
        tell(
            f"fold {fold} of {spelled(folder)} is trained already, since {kept.ended:%Y-%m-%d %H:%M} (dev F1 "
            f"{percent(measured.best.dev_f1)}), and was kept as it is; --again trains it again."
        )
    if kept or not as_json:
        tell(f"evaluate it with: {command('eval', '--fold', fold, '--run', spelled(folder), '--store', store)}")


COMMANDS: Commands = {"train": train_command}
