"""``cli runs``: look at runs and compare them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from classifier.commands.options import (
    RUNS,
    Runs,
    picked_run,
)
from classifier.scores.percent import percent
from featstore.addresses import spelled
from featstore.commands.console import (
    duration,
    escape,
    out,
    print_facts,
    print_json,
    print_table,
    size_of,
    tell,
)
from featstore.commands.options import (
    AsJson,
    Commands,
)
from featstore.errors import count_of
from featstore.files import check_readable_folder

if TYPE_CHECKING:
    from classifier.runs.errors import ErrorReport, PairKind
    from classifier.scores.calibration import Calibration
    from classifier.scores.metrics import Scores

RunNames = Annotated[
    list[str],
    typer.Argument(metavar="RUN..", help="At least two runs: folders or addresses of runs, or names below --runs."),
]
ShownRun = Annotated[
    str | None,
    typer.Argument(
        metavar="[RUN]",
        envvar="FEATSTORE_RUN",
        help="The folder or address of a run, or its name below --runs. By default it is the run that was trained "
        "last.",
    ),
]


def runs_ls(runs: Runs = RUNS, as_json: AsJson = False) -> None:
    """List the runs: what they are, which folds are evaluated, mean F1."""
    from classifier.runs.overview import overview

    check_readable_folder(runs)
    found = overview(runs)
    if as_json:
        print_json(found)
        return
    print_table(
        f"Runs in {spelled(runs)}",
        ["run", "features", "corpus", "folds trained", "evaluated", "F1", "sd", "training"],
        [
            [
                str(r.folder.relative_to(runs)),
                r.config.label,
                r.config.corpus.spec,
                ",".join(map(str, r.trained)),
                ",".join(map(str, r.evaluated)),
                percent(r.summary.f1 if r.summary else None),
                percent(r.summary.f1_deviation if r.summary else None),
                duration(r.seconds),
            ]
            for r in found
        ],
    )


def runs_show(
    run: ShownRun = None,
    runs: Runs = RUNS,
    as_json: AsJson = False,
) -> None:
    """Show a run: configuration, encoders, corpus, versions, and the figures of each fold."""
    from classifier.runs.overview import overview_of
    from classifier.runs.results import facts_of, results_of

    folder = picked_run(run, runs)
    results = results_of(folder)
    if as_json:
        print_json({"run": overview_of(folder), "folds": results})
        return
    for result in results[:1]:
        print_facts(spelled(folder), facts_of(result))
    print_table(
        "Folds",
        ["fold", "P", "R", "F1", "dev F1", "epochs", "best", "training", "peak memory"],
        [
            [
                str(r.fold),
                *map(percent, (r.metrics.micro.precision, r.metrics.micro.recall, r.metrics.micro.f1)),
                percent(r.epochs[r.best_epoch - 1].dev_f1),
                str(len(r.epochs)),
                str(r.best_epoch),
                duration(r.seconds),
                "-" if r.peak_memory is None else size_of(r.peak_memory),
            ]
            for r in results
        ],
    )


def runs_compare(
    names: RunNames,
    runs: Runs = RUNS,
    across_refit: Annotated[
        bool,
        typer.Option(
            "--across-refit",
            help="Compare also runs with --refit, which have learnt from the dev part too, with runs without it.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compare the first run with each other one: what differs, F1 fold by fold, and a paired test."""
    from classifier.runs.find import find_run
    from classifier.runs.overview import compare_runs

    compared = compare_runs([find_run(name, runs) for name in names], across_refit=across_refit)
    if as_json:
        print_json(compared)
        return
    columns = [folder.name for folder in compared.folders]
    print_table("What differs", ["", *columns], [[name, *values] for name, values in compared.differing.items()])
    print_table(
        "F1",
        ["fold", *columns],
        [[str(fold), *map(percent, scores)] for fold, scores in compared.scores.items()],
    )
    for folder, test in zip(compared.folders[1:], compared.tests, strict=True):
        p = "too few folds for a test" if test.p is None else f"p = {test.p:.3f}"
        out.print(
            escape(
                f"{compared.folders[0].name} less {folder.name}: {100 * test.difference:+.2f} F1, {p} ({test.method}, "
                f"{count_of(test.pairs, 'pair')})"
            ),
            soft_wrap=True,
        )


def runs_errors(
    run: ShownRun = None,
    runs: Runs = RUNS,
    show: Annotated[
        int, typer.Option("--show", min=0, help="Number of the surest mistakes to show with their sentences.")
    ] = 10,
    as_json: AsJson = False,
) -> None:
    """Show where an evaluated run errs: by kinds of pairs, by probability, and its surest mistakes."""
    from classifier.runs.errors import error_report

    report = error_report(picked_run(run, runs), show)
    if as_json:
        print_json(report)
        return
    tested = count_of(report.instances, "test instance")
    tell(f"{spelled(report.run)}: {count_of(len(report.folds), 'fold')} with {tested}")
    _print_scores(report)
    _print_calibration(report.calibration)
    for mistake in report.mistakes:
        sure = f"gold {mistake.gold}, predicted {mistake.predicted} with {percent(mistake.probability)} %"
        out.print()
        for line in (f"{mistake.id}: {sure}", mistake.text):
            out.print(escape(line), soft_wrap=True)


def _print_scores(report: ErrorReport) -> None:
    """Print the scores of each label, and of each kind of pairs."""
    print_table(
        "label",
        ["", "gold", "predicted", "P", "R", "F1"],
        [[label, f"{s.gold:,}", f"{s.predicted:,}", *_percents(s)] for label, s in report.labels.items()],
    )
    for name, kinds in report.kinds.items():
        columns = ["", "instances", "positive", "P", "R", "F1", "missed", "of these as negative"]
        print_table(name, columns, list(map(_kind_row, kinds)))


def _kind_row(kind: PairKind) -> list[str]:
    counts = [kind.name, f"{kind.instances:,}", f"{kind.micro.gold:,}"]
    return [*counts, *_percents(kind.micro), f"{kind.missed:,}", percent(kind.missed_as_negative)]


def _percents(scores: Scores) -> list[str]:
    return [percent(scores.precision), percent(scores.recall), percent(scores.f1)]


def _print_calibration(found: Calibration) -> None:
    """Print how far the probabilities can be trusted."""
    print_table(
        "probability of the predicted label",
        ["", "instances", "mean probability", "right"],
        [
            [f"{each.low:.1f}-{each.high:.1f}", f"{each.count:,}", percent(each.probability), percent(each.accuracy)]
            for each in found.bins
            if each.count
        ],
    )
    figures = {"expected calibration error": percent(found.error), "Brier score": f"{found.brier:.4f}"}
    print_facts("all probabilities", {**figures, "log loss": f"{found.log_loss:.4f}"})


COMMANDS: Commands = {"ls": runs_ls, "show": runs_show, "compare": runs_compare, "errors": runs_errors}
