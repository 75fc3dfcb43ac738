"""How ``cli pretrain`` shows where its trainings stand."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from featstore.commands.console import SECONDS_BETWEEN_LINES, duration, err, escape

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.progress import TaskID

    from featstore.pretrain.schedule import PretrainProgress


@contextmanager
def training_progress() -> Iterator[Callable[[PretrainProgress], None]]:
    """Yield a callback that shows where each training stands: a bar each on a terminal, lines elsewhere."""
    if err.is_terminal:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[at]}"))
        with Progress(*columns, console=err) as bars:
            tasks: dict[str, TaskID] = {}

            def on_terminal(p: PretrainProgress) -> None:
                if p.name not in tasks:
                    tasks[p.name] = bars.add_task(escape(p.name), total=p.steps, at="")
                bars.update(tasks[p.name], completed=p.step, at=_standing(p))

            yield on_terminal
        return
    last: dict[str, float] = {}

    def on_log(p: PretrainProgress) -> None:
        now = time.monotonic()
        if now - last.get(p.name, 0.0) >= SECONDS_BETWEEN_LINES or p.step == p.steps:
            last[p.name] = now
            err.print(f"{escape(p.name)}: step {p.step:,}/{p.steps:,}, {_standing(p)}", soft_wrap=True)

    yield on_log


def _standing(p: PretrainProgress) -> str:
    held_out = "" if p.held_out is None else f", held-out {p.held_out:.3f} {p.measure}"
    return f"{p.per_second:,.0f}/s, {duration(p.seconds_left)} left{held_out}"
