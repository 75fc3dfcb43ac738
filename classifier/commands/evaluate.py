"""``cli eval``: evaluate a run on the test part of folds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from classifier.commands.epochs import training_display
from classifier.commands.options import (
    GB,
    RUNS,
    RamBudget,
    Run,
    Runs,
    picked_run,
)
from classifier.scores.percent import percent
from featstore.commands.console import (
    out,
    print_json,
    print_table,
)
from featstore.commands.options import (
    AsJson,
    Commands,
    Store,
)
from featstore.errors import UsageError
from featstore.files import check_output_file, check_output_folder
from featstore.streams import STDOUT

if TYPE_CHECKING:
    from classifier.runs.publish import Evaluation
    from classifier.scores.metrics import Scores
    from classifier.scores.summary import Summary
    from featstore.records import Corpus as LoadedCorpus


def eval_command(
    fold: Annotated[int | None, typer.Option(min=1, help="Evaluate one fold.")] = None,
    folds: Annotated[str | None, typer.Option(help="Evaluate several folds: all, or numbers such as 1,2,3.")] = None,
    run: Run = None,
    runs: Runs = RUNS,
    store: Store = "features",
    predictions: Annotated[
        Path | None,
        typer.Option(
            help="Write the predictions of one fold to this file: in the layout of the official evaluation kit for "
            "ChemProt, as a table with probabilities for other corpora. - is stdout."
        ),
    ] = None,
    ram_budget: RamBudget = 4.0,
    as_json: AsJson = False,
) -> None:
    """Evaluate a run on the test part of a fold; a fold that is not trained yet is trained first."""
    from classifier.runs.config import read_config, run_corpus
    from classifier.scores.summary import summarise
    from classifier.systems.folds import evaluate_fold

    if fold is not None and folds is not None:
        raise UsageError("--fold and --folds are both given; give one of them.")
    if as_json and predictions == STDOUT:
        raise UsageError("--predictions - and --json both write to stdout; leave one of them out.")
    if predictions:
        check_output_file(predictions)
    folder = picked_run(run, runs)
    config = read_config(folder)
    corpus = run_corpus(config)
    wanted = _folds(fold, folds, corpus, folder)
    if predictions and len(wanted) > 1:
        raise UsageError(f"--predictions takes one fold, {len(wanted)} were asked for; add --fold.")
    for each in wanted:
        corpus.partition(each)  # a fold that does not exist is refused before the others are evaluated
        check_output_folder(folder / f"fold-{each}", or_address=True)
    held = int(ram_budget * GB)
    with training_display() as display:
        evaluations = [
            evaluate_fold(
                corpus,
                store,
                config,
                each,
                folder,
                announce=display.announce,
                progress=display.progress,
                ram_budget=held,
            )
            for each in wanted
        ]
    if predictions:
        _write_predictions(predictions, corpus, evaluations[0])
    summary = summarise([evaluation.metrics for evaluation in evaluations])
    if predictions == STDOUT:
        return
    if as_json:
        print_json(
            {
                "run": folder,
                "corpus": config.corpus.spec,
                "features": config.label,
                "folds": {evaluation.fold: evaluation.metrics for evaluation in evaluations},
                "gold_standard": _gold_standard(corpus, evaluations),
                "summary": summary,
            }
        )
        return
    _print_evaluations(config.label, corpus, evaluations, summary)


def _gold_standard(corpus: LoadedCorpus, evaluations: list[Evaluation]) -> dict[int, Scores]:
    from classifier.runs.gold_standard import against_gold_standard

    found = {e.fold: against_gold_standard(corpus, e.instances, e.predictions) for e in evaluations}
    return {fold: scores for fold, scores in found.items() if scores}


def _folds(fold: int | None, folds: str | None, corpus: LoadedCorpus, folder: Path) -> tuple[int, ...]:
    """The folds that are asked for; those that are trained if none is."""
    from classifier.runs.config import trained_folds

    if fold is not None:
        return (fold,)
    if folds is None:
        return trained_folds(folder) or corpus.folds[:1]
    if folds == "all":
        return corpus.folds
    try:
        return tuple(int(word) for word in folds.split(","))
    except ValueError as error:
        raise UsageError(f"--folds '{folds}' is neither 'all' nor numbers such as 1,2,3.") from error


def _write_predictions(path: Path, corpus: LoadedCorpus, evaluation: Evaluation) -> None:
    from classifier.runs.outputs import chemprot_tsv, predictions_tsv
    from featstore.files import write_file

    if corpus.name in ("chemprot", "chemprot-drugprot"):  # the test part of both is ChemProt's
        text = chemprot_tsv(evaluation.instances, evaluation.predictions, corpus.labels, corpus.positive)
    else:
        text = predictions_tsv(evaluation.instances, evaluation.predictions, corpus.labels)
    write_file(path, text.encode("utf-8"))


def _print_evaluations(label: str, corpus: LoadedCorpus, evaluations: list[Evaluation], summary: Summary) -> None:
    rows = [
        [f"fold {e.fold}", *map(percent, (e.metrics.micro.precision, e.metrics.micro.recall, e.metrics.micro.f1))]
        for e in evaluations
    ]
    if len(evaluations) > 1:
        rows.append(["mean", *map(percent, (summary.precision, summary.recall, summary.f1))])
        rows.append(["sd", "", "", percent(summary.f1_deviation)])
    for fold, standard in _gold_standard(corpus, evaluations).items():
        figures = map(percent, (standard.precision, standard.recall, standard.f1))
        rows.append([f"fold {fold}, all {standard.gold:,} gold relations", *figures])
    counted = " + ".join(corpus.positive)
    print_table(f"{label} on {corpus.spec}: micro over {counted}", ["test", "P", "R", "F1"], rows)
    for evaluation in evaluations[: 1 if len(evaluations) == 1 else 0]:
        metrics = evaluation.metrics
        print_table(
            "By class",
            ["class", "gold", "predicted", "P", "R", "F1"],
            [
                [label, str(s.gold), str(s.predicted), percent(s.precision), percent(s.recall), percent(s.f1)]
                for label, s in metrics.per_class.items()
            ],
        )
        print_table(
            "Confusion (rows gold, columns predicted)",
            ["", *metrics.labels],
            [[label, *map(str, row)] for label, row in zip(metrics.labels, metrics.confusion, strict=True)],
        )
    if summary.missed_as_negative is not None:
        out.print(f"Of the positives that were missed, {summary.missed_as_negative:.1%} were called negative.")


COMMANDS: Commands = {"eval": eval_command}
