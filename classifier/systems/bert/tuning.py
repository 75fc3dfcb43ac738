"""Fine-tuning: epochs over the train part, the best of them chosen on the dev part, each kept for an interruption.

In: a task. Out: the fine-tuned network and every epoch. With ``refit`` the checkpoint is fine-tuned once more, on both
parts together and for as many epochs as were best; nothing is chosen then. Everything random comes from (seed, epoch)
alone, so an interrupted fit ends with the same bytes as an uninterrupted one.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor, nn

from classifier.data.batch import bucketed
from classifier.systems.bert.fitted import FineTuned
from classifier.systems.bert.network import PairClassifier, load_encoder_and_reader
from classifier.systems.bert.options import BertOptions
from classifier.systems.bert.quick import use_quick_dropout
from classifier.systems.bert.reading import Numbers, PieceReader, Read, marks_of
from classifier.systems.bert.scoring import make_batch, precise, probabilities
from classifier.systems.contract import Fit, FitTask, KeptState
from classifier.training.dev_part import loss_and_f1
from classifier.training.epoch import Epoch, Notice
from classifier.training.optimizer import optimizer_tensors, restore_optimizer
from featstore.errors import UsageError
from featstore.records import Instance

# Instances of one text that stay together when batches are drawn. On ChemProt's training part 8 leave some 30 % of the
# pieces that texts of their own would have, 4 leave 38 % and 32 leave 27 %, where a batch holds fewer sentences.
PACK = 8


@dataclass(frozen=True, slots=True, eq=False)
class ReadPart:
    """A part of the corpus as the network reads it, and the number of each instance's label."""

    read: Read
    gold: Numbers


def fine_tune(task: FitTask[BertOptions]) -> Fit:
    """Fine-tune the checkpoint that a task names.

    Raises:
        DataError: the checkpoint cannot be loaded.
        UsageError: the loss is no longer a number, or more layers are frozen than there are.
    """
    options, epochs, losses = task.options, list(task.chosen), list[float]()
    if not epochs:
        network, reader = _initial(task.train, task)
        train, dev = (_read(part, reader, task) for part in (task.train, task.dev))
        _tell_of_windows([train, dev], reader, task)
        epochs = train_network(network, train, dev, task)
    if options.refit:
        both = [*task.train, *task.dev]
        network, reader = _initial(both, task)
        part = _read(both, reader, task)
        if task.chosen:
            _tell_of_windows([part], reader, task)
        losses = refit_network(network, part, epochs, task)
    return Fit(FineTuned(network, reader, options.precision, options.device), tuple(epochs), tuple(losses))


def _initial(instances: Sequence[Instance], task: FitTask[BertOptions]) -> tuple[PairClassifier, PieceReader]:
    """Return the network that a fit to some instances starts from, the same every time, and how it reads."""
    options = task.options
    torch.manual_seed(options.seed)
    encoder, reader = load_encoder_and_reader(
        options.folder, marks_of(instances), options.max_length, options.device, shared=options.readout == "shared"
    )
    network = PairClassifier(encoder, len(task.labels), options.readout, options.dropout).to(options.device)
    if options.device == "cpu":
        use_quick_dropout(network)
    return network, reader


def _read(instances: Sequence[Instance], reader: PieceReader, task: FitTask[BertOptions]) -> ReadPart:
    return ReadPart(reader.read(instances), numbers_of(instances, task.labels))


def _tell_of_windows(parts: Sequence[ReadPart], reader: PieceReader, task: FitTask[BertOptions]) -> None:
    """Tell how many instances are too long to be read as a whole."""
    if long := sum(part.read.windowed for part in parts):
        number = sum(len(part.gold) for part in parts)
        task.progress(
            Notice(
                f"{long:,} of {number:,} instances are longer than {reader.longest} word pieces; of each, a window "
                "around the pair is read."
            )
        )


def numbers_of(instances: Sequence[Instance], labels: Sequence[str]) -> Numbers:
    return np.array([labels.index(instance.label or "") for instance in instances], dtype=np.int64)


def train_network(network: PairClassifier, train: ReadPart, dev: ReadPart, task: FitTask[BertOptions]) -> list[Epoch]:
    """Train ``network`` in place; at the end it has the weights of the best epoch."""
    options = task.options
    optimizer = make_optimizer(network, options)
    epochs: list[Epoch] = []
    best: Mapping[str, Tensor] = {}
    if state := task.keeper.load():
        epochs = [Epoch(**facts) for facts in state.facts["epochs"]]
        if state.facts.get("refit"):
            return epochs  # a refit has begun, which starts from the checkpoint
        best = _take_up(state, network, optimizer)
    while len(epochs) < options.max_epochs:
        start, number = time.perf_counter(), len(epochs) + 1
        loss, lr = run_epoch(network, optimizer, train, options, number)
        dev_loss, f1 = _evaluated(network, dev, task)
        is_best = all((f1, -dev_loss) > (each.dev_f1, -each.dev_loss) for each in epochs)
        seconds = time.perf_counter() - start
        epochs.append(Epoch(number, options.max_epochs, loss, dev_loss, f1, lr, is_best, seconds))
        if is_best:
            best = {name: value.detach().clone() for name, value in network.state_dict().items()}
        _keep(task, network, optimizer, best, epochs)
        task.progress(epochs[-1])
    network.load_state_dict(dict(best))
    return epochs


def refit_network(
    network: PairClassifier, both: ReadPart, epochs: Sequence[Epoch], task: FitTask[BertOptions]
) -> list[float]:
    """Train ``network`` in place on both parts, for as many epochs as were best; return the loss of each.

    The learning rate follows the course that it had when the epoch was chosen.
    """
    optimizer = make_optimizer(network, task.options)
    losses: list[float] = []
    state = task.keeper.load()
    if state and state.facts.get("refit"):
        losses = [float(loss) for loss in state.facts["refit"]]
        _take_up(state, network, optimizer)
    last = max(epoch.number for epoch in epochs if epoch.best)
    for number in range(len(losses) + 1, last + 1):
        start = time.perf_counter()
        losses.append(run_epoch(network, optimizer, both, task.options, number)[0])
        _keep(task, network, optimizer, {}, epochs, losses)
        task.progress(
            Notice(
                f"epoch {number} of {last} on the train and the dev part: loss {losses[-1]:.4f}, "
                f"{time.perf_counter() - start:.1f} s"
            )
        )
    return losses


def make_optimizer(network: PairClassifier, options: BertOptions) -> torch.optim.AdamW:
    """Return AdamW over the layers that are trained, with a rate for each level.

    As usual for transformers, biases and the weights of normalisations are not decayed.

    Raises:
        UsageError: more layers are frozen than there are.
    """
    top = network.depth + 1
    if options.freeze > top:
        raise UsageError(f"--freeze {options.freeze} leaves nothing to train: the model has {top} layers to freeze.")
    groups: dict[tuple[int, bool], list[nn.Parameter]] = {}
    for level, _, parameter in network.by_level():
        if level < options.freeze:
            parameter.requires_grad_(False)
        else:
            groups.setdefault((level, parameter.ndim > 1), []).append(parameter)
    return torch.optim.AdamW(
        [
            {
                "params": parameters,
                "peak": options.lr * options.layer_decay ** (top - level),
                "weight_decay": options.weight_decay if decays else 0.0,
            }
            for (level, decays), parameters in groups.items()
        ],
        lr=options.lr,
        fused=True,
    )


def share_of_rate(done: float, warmup: float) -> float:
    """Return the share of the peak rate when the share ``done`` of all steps is done: up in a line, then down."""
    return done / warmup if done < warmup else (1 - done) / (1 - warmup)


def run_epoch(
    network: PairClassifier, optimizer: torch.optim.Optimizer, part: ReadPart, options: BertOptions, number: int
) -> tuple[float, float]:
    """Go once over the train part; return the mean loss and the last learning rate of the top layer."""
    network.train()
    torch.manual_seed(options.seed * 1_000_003 + number)
    rng = np.random.default_rng((options.seed, number))
    lengths = part.read.lengths
    pack = 1 if part.read.marks is None else PACK
    batches = bucketed(lengths, part.read.of_instance, options.batch_size, rng, pack)
    total = lr = 0.0
    for step, chosen in enumerate(batches):
        share = share_of_rate((number - 1 + (step + 0.5) / len(batches)) / options.max_epochs, options.warmup)
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * share
        lr = options.lr * share
        optimizer.zero_grad()
        loss = backward(network, part.read, part.gold, chosen, options)
        if not math.isfinite(loss):
            raise UsageError(f"the loss became {loss} in epoch {number} (learning rate {lr:.2g}); lower --lr.")
        if options.clip:
            nn.utils.clip_grad_norm_(network.parameters(), options.clip, foreach=True)
        optimizer.step()
        total += loss * len(chosen)
    return total / len(lengths), lr


def backward(network: PairClassifier, read: Read, gold: Numbers, chosen: Numbers, options: BertOptions) -> float:
    """Add the gradient of a batch's mean loss, part by part, and return the loss."""
    total = 0.0
    with precise(options.precision, options.device):
        for part in np.array_split(chosen, min(options.accumulate, len(chosen))):
            labels = torch.from_numpy(gold[part]).to(options.device)
            loss = nn.functional.cross_entropy(network(*make_batch(read, part).to(options.device)), labels)
            loss = loss * (len(part) / len(chosen))
            loss.backward()
            total += loss.item()
    return total


def _evaluated(network: PairClassifier, dev: ReadPart, task: FitTask[BertOptions]) -> tuple[float, float]:
    """Return loss and micro-F1 on the dev part."""
    found = probabilities(network, dev.read, task.options.precision, task.options.device)
    return loss_and_f1(found, dev.gold, task.labels, task.positive)


def _keep(
    task: FitTask[BertOptions],
    network: PairClassifier,
    optimizer: torch.optim.Optimizer,
    best: Mapping[str, Tensor],
    epochs: Sequence[Epoch],
    refit: Sequence[float] = (),
) -> None:
    """Keep the state after an epoch; the best weights only where they are not the present ones and still needed."""
    tensors = {f"network/{name}": value for name, value in network.state_dict().items()}
    tensors |= {f"optimizer/{name}": value for name, value in optimizer_tensors(optimizer).items()}
    if not epochs[-1].best and not refit:
        tensors |= {f"best/{name}": value for name, value in best.items()}
    task.keeper.save(KeptState(tensors, {"epochs": [asdict(each) for each in epochs], "refit": list(refit)}))


def _take_up(state: KeptState, network: PairClassifier, optimizer: torch.optim.Optimizer) -> Mapping[str, Tensor]:
    """Put network and optimiser back to where they stood, and return the weights of the best epoch."""
    parts: dict[str, dict[str, Tensor]] = {"network": {}, "optimizer": {}, "best": {}}
    for key, tensor in state.tensors.items():
        part, _, name = key.partition("/")
        parts[part][name] = tensor
    network.load_state_dict(parts["network"])
    restore_optimizer(optimizer, parts["optimizer"])
    return parts["best"] or parts["network"]
