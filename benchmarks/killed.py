"""The commands that ``benchmarks/kills.py`` kills, each on tiny inputs.

In: a folder for inputs. Out: commands that can be run in a folder, again and again; each says what of its work is
finished, as a reader of it would find it, and what is left over after it has ended. The constants of the library are
made as small as the inputs, so that each command passes all its stages in some tenths of a second.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

from classifier.ablate import ablate
from classifier.ablate.ablation import summarise_grid
from classifier.ablate.grid import Grid
from classifier.ablate.publish import HTML, JSON, write_report
from classifier.extract import ExtractionJob, Extractor, extract_files, journal, work
from classifier.runs.checkpoint import load_checkpoint
from classifier.runs.config import PREDICTIONS, run_corpus
from classifier.runs.facts import METRICS, RUN, WEIGHTS
from classifier.runs.folds import train_fold
from classifier.runs.results import is_complete, read_predictions, read_result
from featstore.encoders import bilm
from featstore.featurize import encode, producer
from featstore.pretrain import cse, elmo, glove
from featstore.pretrain.checkpoint import load_checkpoint as load_training
from featstore.pretrain.loop import CHECKPOINT
from featstore.pretrain.parallel import Group, ParallelJob
from featstore.pretrain.schedule import Schedule
from featstore.records import sentence_key
from featstore.stores import create_store, list_sets, open_store
from featstore.stores.maintenance.verify import verify

WORDS = ("aspirin", "inhibits", "the", "kinase", "in", "cells", "of", "rats", "and", "blocks")
Files = Mapping[str, bytes]


class Fault(Exception):
    """Something that reads as finished and is not, or that differs after resuming."""


class Command(Protocol):
    """A command on tiny inputs."""

    name: str

    def run(self, folder: Path) -> None:
        """Do the work in ``folder``, or go on with it."""
        ...

    def finished(self, folder: Path) -> Files:
        """Read what is finished, as any reader would.

        Raises:
            Fault: something reads as finished and is not.
        """
        ...

    def leftovers(self, folder: Path) -> Sequence[str]:
        """Return what lies in the folder of a run that has ended and is of no use."""
        ...


def partials(folder: Path) -> list[str]:
    """Return the files that are no outputs.

    A hidden file ``.NAME.*.partial`` is none: the next writer of that name removes it, and it may be that none comes.
    """
    marks = (".part", ".part.json", "unfinished.safetensors")
    return [str(path) for path in folder.rglob("*") if path.name.endswith(marks)]


class Featurize:
    """``cli featurize``: one shard a batch."""

    def __init__(self, inputs: Path, backend: str) -> None:
        self.name = f"featurize ({backend})"
        self._backend, self._spec = backend, f"glove:{inputs / 'vectors.txt'}"
        draw = random.Random(1)
        texts = {tuple(draw.choices(WORDS, k=draw.randint(1, 9))) for _ in range(24)}
        self._sentences = {sentence_key(text): text for text in sorted(texts)}

    def run(self, folder: Path) -> None:
        options: dict[str, Any] = {"dtype": "float32", "backend": self._backend, "workers": 1}
        encode.featurize(self._sentences, self._spec, root=folder / "features", **options)

    def finished(self, folder: Path) -> Files:
        found: dict[str, bytes] = {}
        for info in list_sets(folder / "features"):
            if damages := verify(info.path).damages:
                raise Fault(f"damage: {damages}")
            with closing(open_store(info.path, check=True)) as store:
                keys = list(store.keys())
                rows = store.read(keys)
                found |= {key.hex(): rows[number].tobytes() for number, key in enumerate(keys)}
        return found

    def leftovers(self, folder: Path) -> Sequence[str]:
        (info,) = list_sets(folder / "features")
        create_store(folder / "features", info.meta).close()  # whoever opens a set to write sweeps it
        return verify(info.path).leftovers


class Extract:
    """``cli extract``: two documents a window, each window written down at once."""

    name = "extract"

    def __init__(self, inputs: Path) -> None:
        self._extractor = Extractor.load(inputs / "fold-1", encoders=[f"glove:{inputs / 'vectors.txt'}"], tag="never")
        self._source = inputs / "documents.jsonl"
        text = "aspirin inhibits the kinase in cells of rats."
        mentions = [{"type": "CHEMICAL", "start": 0, "end": 7}, {"type": "GENE", "start": 21, "end": 27}]
        lines = [json.dumps({"id": str(n), "text": f"{text} {n}", "entities": mentions}) + "\n" for n in range(20)]
        self._source.write_text("".join(lines))

    def run(self, folder: Path) -> None:
        extract_files(self._extractor, ExtractionJob([self._source], folder / "out.jsonl"))

    def finished(self, folder: Path) -> Files:
        path = folder / "out.jsonl"
        return {"out.jsonl": path.read_bytes()} if path.exists() else {}

    def leftovers(self, folder: Path) -> Sequence[str]:
        return partials(folder)


class Ablate:
    """``cli ablate``: two folds, and the report."""

    name = "ablate"

    def __init__(self, inputs: Path) -> None:
        self._grid, self._store = grid_of(inputs), inputs / "features"

    def run(self, folder: Path) -> None:
        events = ablate(self._grid, self._store, folder / "runs")
        write_report(
            summarise_grid(self._grid, events, self._store, folder / "runs"), self._store, folder / "report", ""
        )

    def finished(self, folder: Path) -> Files:
        found: dict[str, bytes] = {}
        for cell in self._grid.cells():
            place = cell.folder(folder / "runs")
            if (place / RUN).exists():
                load_checkpoint(place)
                found[f"{place.name}/{WEIGHTS}"] = (place / WEIGHTS).read_bytes()
            if is_complete(place):
                read_predictions(read_result(place))
                found |= {f"{place.name}/{name}": (place / name).read_bytes() for name in (METRICS, PREDICTIONS)}
        if (folder / "report" / HTML).exists() and not (folder / "report" / HTML).read_text().endswith("</html>\n"):
            raise Fault("the report is not whole")
        if (folder / "report" / JSON).exists():
            json.loads((folder / "report" / JSON).read_bytes())
        return found

    def leftovers(self, folder: Path) -> Sequence[str]:
        return partials(folder)


class Pretrain:
    """``cli pretrain``: a checkpoint after each step."""

    def __init__(self, name: str, train: Callable[[Path], object], files: tuple[str, ...]) -> None:
        self.name, self._train, self._files = f"pretrain {name}", train, files

    def run(self, folder: Path) -> None:
        self._train(folder / "out")

    def finished(self, folder: Path) -> Files:
        for path in folder.rglob(CHECKPOINT):
            load_training(path)
        return {name: (folder / "out" / name).read_bytes() for name in self._files if (folder / "out" / name).exists()}

    def leftovers(self, folder: Path) -> Sequence[str]:
        return partials(folder)


def grid_of(inputs: Path) -> Grid:
    """Return two folds of a small head."""
    options = {"optimizer": "adamw", "lr": 0.01, "hidden": 4, "max_epochs": 2, "batch_size": 16}
    return Grid(
        features=("glove",), folds=(1, 2), corpus=f"jsonl:{inputs / 'pairs.jsonl'}", heads=("paper",), options=options
    )


def make_inputs(inputs: Path) -> None:
    """Write word vectors, a corpus in folds, its vectors, and a trained fold."""
    draw = random.Random(2)
    rows = [f"{word} {' '.join(f'{draw.gauss(0, 1):.3f}' for _ in range(4))}\n" for word in WORDS]
    (inputs / "vectors.txt").write_text("".join(rows))
    pairs = []
    for n in range(24):
        verb = ("blocks", "inhibits")[n % 2]
        text = f"aspirin {verb} {' '.join(draw.choices(WORDS, k=3))} kinase"
        head = {"start": 0, "end": 7, "type": "CHEMICAL"}
        tail = {"start": len(text) - 6, "end": len(text), "type": "GENE"}
        label = ("NONE", "CPR:4")[n % 2]
        pairs.append(json.dumps({"text": text, "label": label, "fold": 1 + n % 3, "head": head, "tail": tail}) + "\n")
    (inputs / "pairs.jsonl").write_text("".join(pairs))
    many = [*WORDS, *(f"gene{n}" for n in range(150))]
    text = "\n".join(" ".join(draw.choices(many, k=8)) + "." for _ in range(200))
    (inputs / "text.txt").write_text(text)
    config = grid_of(inputs).cells()[0].config
    corpus = run_corpus(config)
    sentences = {instance.key: instance.tokens for instance in corpus.instances}
    options: dict[str, Any] = {"dtype": "float32", "backend": "hdf5", "workers": 1}
    encode.featurize(sentences, f"glove:{inputs / 'vectors.txt'}", root=inputs / "features", **options)
    train_fold(corpus, inputs / "features", config, 1, inputs)


def make_commands(inputs: Path) -> list[Command]:
    """Return the commands, and make the constants of the library as small as the inputs."""
    producer.BATCH_TOKENS, producer.COMMIT_BYTES = 40, 1
    journal.JOURNAL_SECONDS, work.WINDOW_DOCUMENTS = 0.0, 2
    for module in (cse, elmo, glove):
        module.run_jobs = run_here  # type: ignore[attr-defined]
    text = (inputs / "text.txt",)
    schedule = Schedule(steps=4, warmup=1, evaluate_every=2, checkpoint_every=1)
    common: dict[str, Any] = {"text": text, "schedule": schedule}
    small_cse: dict[str, Any] = {"hidden_size": 6, "embedding_size": 3, "streams": 4, "length": 8, "least": 1}
    small_elmo: dict[str, Any] = {"dim": 4, "projection_dim": 3, "char_dim": 2, "filters": ((1, 2),), "tokens": 16}

    def train_cse(out: Path) -> object:
        return cse.pretrain_cse(cse.CSEConfig(out=out, held_out_chars=100, **common, **small_cse))

    def train_elmo(out: Path) -> object:
        return elmo.pretrain_elmo(elmo.ELMoConfig(out=out, held_out_chars=100, least=1, **common, **small_elmo))

    def train_glove(out: Path) -> object:
        return glove.pretrain_glove(glove.GloVeConfig(out=out, dim=4, least=1, **common))

    return [
        Featurize(inputs, "hdf5"),
        Featurize(inputs, "zarr"),
        Extract(inputs),
        Ablate(inputs),
        Pretrain("cse", train_cse, ("forward.safetensors", "backward.safetensors")),
        Pretrain("elmo", train_elmo, (bilm.WEIGHTS, bilm.OPTIONS)),
        Pretrain("glove", train_glove, (glove.VECTORS,)),
    ]


def run_here(jobs: Sequence[ParallelJob], report: Callable[[Any], None] | None = None) -> None:
    """Run the jobs of a training in this process, so that a kill hits all of them."""
    for job in jobs:
        job.function(*job.arguments, Group(), report)
