"""The one training loop of pre-training: steps, learning rate, clipping, held-out loss, log, checkpoints, resume.

In: a :class:`Task` (a model that can take its next batch and give a loss) and a :class:`Schedule`. Out: a trained task,
``log.jsonl`` and ``checkpoint.safetensors`` in the training's folder. A training that is killed at any instant and
started again with the same settings ends with the same weights, to the last bit, as an uninterrupted one: the
checkpoint holds the weights, the optimiser, the carried state, the position in the text and the random state. (One that
has a time in place of a number of steps takes as many steps as the machine allows.)
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from featstore.errors import DataError, MismatchError
from featstore.files import make_folder, write_file
from featstore.pretrain.checkpoint import load_checkpoint, save_checkpoint
from featstore.pretrain.parallel import Group
from featstore.pretrain.schedule import LogEntry, PretrainProgress, Schedule, TaskFacts, in_measure

CHECKPOINT = "checkpoint.safetensors"
LOG = "log.jsonl"
_CARRIED = ("step", "seconds", "loss_sum", "loss_count", "held_out", "best", "bad", "factor", "log")
_REPORT_SECONDS = 0.5
_Settings = Mapping[str, Mapping[str, object]]  # those of the task and of the schedule


class Task(Protocol):
    """What the loop trains."""

    name: str
    measure: str
    model: nn.Module
    units: int  # characters or words read so far, by the whole group

    def loss(self) -> Tensor:
        """Take the next batch and return its mean loss in nats a unit (scalar, with gradient)."""
        ...

    def held_out(self) -> float:
        """Return the held-out loss in nats a unit; leaves the carried state as it was."""
        ...

    def settings(self) -> Mapping[str, object]:
        """JSON facts in which a checkpoint must agree with this training to be continued."""
        ...

    def state(self) -> tuple[dict[str, Tensor], TaskFacts]:
        """The carried state of this process, and JSON facts that are the same in the whole group."""
        ...

    def restore(self, tensors: Mapping[str, Tensor], facts: TaskFacts) -> None:
        """Go on from what :meth:`state` returned."""
        ...


def train(
    task: Task,
    schedule: Schedule,
    steps: int | None,
    folder: Path,
    report: Callable[[PretrainProgress], None] | None = None,
    group: Group | None = None,
) -> list[LogEntry]:
    """Train ``task`` to step ``steps``. If ``folder`` holds a checkpoint, the training goes on from it.

    Args:
        steps: number of steps in all, or None if the schedule says how long the training takes.
        group: the processes that train together; the first writes the files.

    Returns:
        the log: one entry an evaluation, with step, units, learning rate, training and held-out loss. The model is
        left with the weights of its lowest held-out loss.

    Raises:
        MismatchError: the checkpoint belongs to a training with different settings.
        DataError: the checkpoint is damaged, or the loss is no longer a number.
        ResourceError: the disk is full; the previous checkpoint is kept.
    """
    make_folder(folder)
    trainer = _Trainer(task, schedule, steps, folder, group or Group())
    if (folder / CHECKPOINT).exists():
        trainer.resume()
    trainer.run(report)
    trainer.load_best()
    return trainer.log


class _Trainer:
    """The loop and its state: the optimiser, the step, the annealing and the log."""

    def __init__(self, task: Task, schedule: Schedule, steps: int | None, folder: Path, group: Group) -> None:
        self.task, self.schedule, self.steps, self.folder, self.group = task, schedule, steps, folder, group
        self.optimiser = torch.optim.AdamW(
            task.model.parameters(), lr=schedule.learning_rate, weight_decay=schedule.weight_decay, fused=True
        )
        self.step = 0
        self.seconds = 0.0  # taken so far, of a training that has a time
        self.rate = 0.0  # of the last step
        self.loss_sum = 0.0
        self.loss_count = 0
        self.held_out: float | None = None
        self.best = math.inf
        self.best_weights: dict[str, Tensor] = {}
        self.bad = 0
        self.factor = 1.0
        self.log: list[LogEntry] = []

    def run(self, report: Callable[[PretrainProgress], None] | None) -> None:
        start, began, reported, before = self.task.units, time.perf_counter(), 0.0, self.seconds
        while self.done < 1:
            self.update()
            seconds = time.perf_counter() - began
            if self.steps is None:  # the first process has the clock
                self.seconds = self.group.gather(torch.tensor(before + seconds, dtype=torch.float64))[0].item()
            per_second = (self.task.units - start) / seconds
            last = self.done >= 1
            if last or self.step % self.schedule.evaluate_every == 0:
                self.evaluate(per_second)
            if last or self.step % self.schedule.checkpoint_every == 0:
                self.save()
            if report and (last or seconds - reported >= _REPORT_SECONDS):
                reported = seconds
                report(self.progress(per_second))

    @property
    def done(self) -> float:
        """The share of the training that is done."""
        return self.schedule.done(self.step, self.steps, self.seconds)

    def update(self) -> None:
        """Take one step of the optimiser."""
        self.rate = self.schedule.rate(self.step, self.done, self.factor)
        for entry in self.optimiser.param_groups:
            entry["lr"] = self.rate
        loss = self.task.loss()
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.group.average_gradients(self.task.model.parameters())
        norm = nn.utils.clip_grad_norm_(self.task.model.parameters(), self.schedule.clip).item()
        if not math.isfinite(norm):
            raise DataError(
                f"{self.task.name}: the gradient became {norm} at step {self.step + 1}; lower the learning rate (now "
                f"{self.schedule.learning_rate}). The last good checkpoint is kept in {self.folder}."
            )
        self.optimiser.step()
        self.step += 1
        self.loss_sum += loss.item()
        self.loss_count += 1

    def evaluate(self, per_second: float) -> None:
        """Measure the held-out loss, anneal by it if the schedule asks for that, and write the log."""
        self.held_out = self.task.held_out()
        if self.held_out < self.best:
            self.best, self.bad = self.held_out, 0
            self.best_weights = {k: v.detach().clone() for k, v in self.task.model.named_parameters()}
        else:
            self.bad += 1
        if self.schedule.anneal == "plateau" and self.bad > self.schedule.patience:
            self.factor, self.bad = self.factor / 2, 0
        entry: LogEntry = {
            "step": self.step,
            "units": self.task.units,
            "learning_rate": self.rate,
            "measure": self.task.measure,
            "train": in_measure(self.task.measure, self.loss_sum / self.loss_count),
            "held_out": in_measure(self.task.measure, self.held_out),
            "units_per_second": round(per_second, 1),
        }
        self.log.append(entry)
        self.loss_sum, self.loss_count = 0.0, 0
        if self.group.rank == 0:
            write_file(self.folder / LOG, "".join(json.dumps(e) + "\n" for e in self.log).encode("utf-8"))

    def progress(self, per_second: float) -> PretrainProgress:
        task = self.task
        if self.steps is None:
            steps, left = round(self.step / self.done), self.seconds / self.done - self.seconds
        else:
            steps, left = self.steps, (self.steps - self.step) * task.units / self.step / per_second
        train = in_measure(task.measure, self.loss_sum / self.loss_count) if self.loss_count else self.log[-1]["train"]
        held_out = None if self.held_out is None else in_measure(task.measure, self.held_out)
        return PretrainProgress(
            task.name, self.step, steps, task.units, per_second, left, task.measure, train, held_out
        )

    @torch.no_grad()
    def load_best(self) -> None:
        """Give the model the weights of the lowest held-out loss."""
        for name, parameter in self.task.model.named_parameters():
            parameter.copy_(self.best_weights[name])

    def settings(self) -> _Settings:
        """Return the facts in which a checkpoint must agree with this training, in the form in which JSON returns
        them."""
        own = asdict(self.schedule) | {"steps": self.steps, "processes": self.group.size}
        whole: _Settings = json.loads(json.dumps({"task": self.task.settings(), "schedule": own}))
        return whole

    def save(self) -> None:
        """Write the checkpoint."""
        carried, facts = self.task.state()
        carried |= _random_states()
        tensors = {f"carried.{name}": self.group.gather(carried[name]) for name in sorted(carried)}
        for name, parameter in self.task.model.named_parameters():
            tensors[f"model.{name}"] = parameter
            for key, value in self.optimiser.state[parameter].items():
                tensors[f"optimiser.{key}.{name}"] = value
        tensors |= {f"best.{name}": tensor for name, tensor in self.best_weights.items()}
        if self.group.rank == 0:
            own = {key: getattr(self, key) for key in _CARRIED}
            save_checkpoint(
                self.folder / CHECKPOINT, tensors, {"settings": self.settings(), "task": facts, "loop": own}
            )

    def resume(self) -> None:
        """Go on from the checkpoint in the folder."""
        path = self.folder / CHECKPOINT
        tensors, facts = load_checkpoint(path)
        _check_settings(path, facts["settings"], self.settings())
        with torch.no_grad():
            for name, parameter in self.task.model.named_parameters():
                parameter.copy_(tensors[f"model.{name}"])
                keys = ("step", "exp_avg", "exp_avg_sq")
                state = {key: tensors[f"optimiser.{key}.{name}"] for key in keys}
                self.optimiser.state[parameter] = {key: value.to(parameter.device) for key, value in state.items()}
        self.best_weights = _part("best.", tensors)
        carried = {name: tensor[self.group.rank] for name, tensor in _part("carried.", tensors).items()}
        self.task.restore(carried, facts["task"])
        _set_random_states(carried)
        for key in _CARRIED:
            if key in facts["loop"]:  # a checkpoint of an earlier version lacks the seconds
                setattr(self, key, facts["loop"][key])


def _part(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _random_states() -> dict[str, Tensor]:
    states = {"random.cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states["random.cuda"] = torch.cuda.get_rng_state()
    return states


def _set_random_states(states: Mapping[str, Tensor]) -> None:
    torch.set_rng_state(states["random.cpu"])
    if torch.cuda.is_available() and "random.cuda" in states:
        torch.cuda.set_rng_state(states["random.cuda"])


def _check_settings(path: Path, found: _Settings, wanted: _Settings) -> None:
    """Refuse a checkpoint of another training.

    Raises:
        MismatchError: naming each setting that differs.
    """
    differing = [
        f"{key} is {str(found.get(part, {}).get(key))[:60]} there and {str(value)[:60]} here"
        for part in wanted
        for key, value in wanted[part].items()
        if found.get(part, {}).get(key) != value
    ]
    if differing:
        raise MismatchError(
            f"{path} is the checkpoint of another training: {'; '.join(differing)}. Give the same settings to go on "
            "with it, or another folder (or --fresh) to begin anew."
        )
