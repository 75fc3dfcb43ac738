"""How a training shows its epochs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from classifier.scores.percent import percent
from featstore.commands.console import (
    err,
    escape,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from classifier.runs.folds import Notice
    from classifier.training.loop import Epoch


def report_epoch(event: Epoch | Notice) -> None:
    """Show an epoch as a line; a terminal shows only every new best one and the last besides the first few."""
    from classifier.training.loop import Epoch

    if not isinstance(event, Epoch):
        err.print(escape(event.text), soft_wrap=True)
        return
    err.print(
        f"epoch {event.number}: loss {event.train_loss:.4f}, dev loss {event.dev_loss:.4f}, "
        f"dev F1 {percent(event.dev_f1)}{' *' if event.best else ''}, lr {event.lr:g}, {event.seconds:.1f} s",
        soft_wrap=True,
    )


@contextmanager
def epoch_progress(log_folder: Path | None) -> Iterator[Callable[[Epoch | Notice], None]]:
    """Yield a callback that shows an epoch and, where a folder is given, logs it there for TensorBoard."""
    if log_folder is None:
        yield report_epoch
        return
    from classifier.training.loop import Epoch
    from classifier.training.tensorboard import epoch_log

    with epoch_log(log_folder) as log:

        def on_epoch(event: Epoch | Notice) -> None:
            report_epoch(event)
            if isinstance(event, Epoch):
                log(event)

        yield on_epoch
