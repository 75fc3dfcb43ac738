"""How a training is shown: a line that says what is trained, then its epochs, as a bar on a terminal and as lines
elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from classifier.scores.percent import percent
from featstore.commands.console import duration, err, tell
from featstore.errors import count_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.progress import Progress, TaskID

    from classifier.systems.folds import AnyPlan
    from classifier.training.epoch import Epoch, Notice


# Steps of the optimiser below which more epochs have paid: on HPRD50 the dev F1 was 66 with 110 steps and 76 with 440
# (docs/results-corpora.md).
FEW_STEPS = 150


class TrainingDisplay:
    """Shows trainings, one after the other.

    Args:
        log: called with each epoch besides, or None.
        bars: where the bars are drawn; None shows a line for each epoch.
    """

    def __init__(self, log: Callable[[Epoch], None] | None, bars: Progress | None) -> None:
        self._log = log
        self._bars = bars
        self._task: TaskID | None = None

    def announce(self, plan: AnyPlan) -> None:
        """Say what will be trained; a bar begins."""
        tell(f"training {plan_line(plan)}")
        for line in plan_notes(plan):
            tell(line)
        if self._bars is not None:
            self._task = self._bars.add_task(f"fold {plan.fold}", total=plan.epochs, completed=plan.done, standing="")

    def progress(self, event: Epoch | Notice) -> None:
        """Show an epoch, or something else that the user should know."""
        from classifier.training.epoch import Epoch

        if not isinstance(event, Epoch):
            tell(event.text)
            return
        if self._log is not None:
            self._log(event)
        if self._bars is None or self._task is None:
            tell(_epoch_line(event))
        else:
            self._bars.update(self._task, completed=event.number, standing=f"dev F1 {percent(event.dev_f1)}")


@contextmanager
def training_display(log_folder: Path | None = None) -> Iterator[TrainingDisplay]:
    """Yield a display; where a folder is given, epochs are logged there for TensorBoard."""
    if log_folder is not None:
        from classifier.training.tensorboard import epoch_log

        with epoch_log(log_folder) as log, _bars() as bars:
            yield TrainingDisplay(log, bars)
        return
    with _bars() as bars:
        yield TrainingDisplay(None, bars)


def plan_line(plan: AnyPlan) -> str:
    """Return what will be trained, on how much, and about how long."""
    from classifier.training.estimate import TrainingPlan

    left = plan.epochs - plan.done
    epochs = count_of(left, "epoch") + (f", after {plan.done} that are done" if plan.done else "")
    if not left:
        epochs = "no epoch but those of the refit"
    parts = f"{plan.train:,} instances (and {plan.dev:,} of the dev part)"
    if not isinstance(plan, TrainingPlan):
        return f"fold {plan.fold}: {plan.label}, {parts}{f', {epochs}' if plan.epochs > 1 else ''}"
    if plan.unlabelled:
        parts = f"{count_of(plan.unlabelled, 'pair')} without labels, {parts}"
    config = plan.config
    most = "at most " if left and config.schedule != "cosine" else ""
    return (
        f"fold {plan.fold}: head '{config.head}' on {config.features} with {plan.parameters:,} parameters, {parts}, "
        f"{most}{epochs}, about {duration(plan.seconds)}"
    )


def plan_notes(plan: AnyPlan) -> list[str]:
    """Return what a user should know before a training begins."""
    return [line for line in (_unseen_line(plan), _advice(plan)) if line]


def _unseen_line(plan: AnyPlan) -> str:
    """Return what becomes of the labels that no training instance has."""
    if not plan.unseen:
        return ""
    plural, them = ("", "it") if len(plan.unseen) == 1 else ("s", "them")
    return (
        f"no training instance has the label{plural} {', '.join(plan.unseen)}: the model cannot learn {them}, and test "
        f"instances that have {them} count as missed."
    )


def _advice(plan: AnyPlan) -> str:
    """Return what to do where a corpus is so small that its head hardly learns in the epochs that it has."""
    from classifier.training.estimate import TrainingPlan

    if not isinstance(plan, TrainingPlan) or plan.steps >= FEW_STEPS or plan.epochs == 1:
        return ""
    return (
        f"the corpus is small: {count_of(plan.epochs, 'epoch')} of it are {count_of(plan.steps, 'step')} of the "
        f"optimiser, and a head often learns more with --max-epochs {4 * plan.epochs}."
    )


@contextmanager
def _bars() -> Iterator[Progress | None]:
    """Yield a place for bars on a terminal, None elsewhere."""
    if not err.is_terminal:
        yield None
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}: epoch {task.completed:.0f} of {task.total:.0f}"),
        BarColumn(),
        TextColumn("{task.fields[standing]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err) as bars:
        yield bars


def _epoch_line(epoch: Epoch) -> str:
    return (
        f"epoch {epoch.number} of {epoch.of}: loss {epoch.train_loss:.4f}, dev loss {epoch.dev_loss:.4f}, dev F1 "
        f"{percent(epoch.dev_f1)}{' (best so far)' if epoch.best else ''}, learning rate {epoch.lr:.2g}, "
        f"{epoch.seconds:.1f} s"
    )
