"""TensorBoard logs of a training, for those who have it installed (``pip install 'featstore[tensorboard]'``).

In: epochs, as training reports them. Out: an event file with the losses, dev F1, the learning rate and the seconds of
each epoch. TensorBoard is imported here alone and only when a log is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from classifier.training.epoch import Epoch
from featstore.errors import UsageError

FIGURES = ("train_loss", "dev_loss", "dev_f1", "lr", "seconds")


@contextmanager
def epoch_log(folder: Path) -> Iterator[Callable[[Epoch], None]]:
    """Yield a callback that logs an epoch below ``folder``.

    Raises:
        UsageError: TensorBoard is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise UsageError(
            "--tensorboard needs the package tensorboard; install it with: pip install 'featstore[tensorboard]'."
        ) from error
    with SummaryWriter(str(folder)) as writer:

        def log(epoch: Epoch) -> None:
            for name in FIGURES:
                writer.add_scalar(name, getattr(epoch, name), epoch.number)
            writer.flush()

        yield log
