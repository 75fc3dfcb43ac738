"""Where a run errs: kinds of pairs that are counted by hand, and the sentences of its surest mistakes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from classifier.runs.config import PREDICTIONS, RunConfig
from classifier.runs.errors import BETWEEN, LENGTH, ORDER, PAIRS, SENTENCE, ErrorReport, error_report
from classifier.runs.folds import evaluate_fold, train_fold
from classifier.training.config import TrainConfig
from featstore.corpora import CorpusChoice, read_corpus
from featstore.errors import MismatchError, UsageError

# (sentence, head, tail, label, part)
ROWS = [
    ("aspirin inhibits COX now", "aspirin", "COX", "binds", "train"),
    ("aspirin and COX were seen in the same cells", "aspirin", "COX", "NONE", "train"),
    ("COX rises with ethanol", "ethanol", "COX", "binds", "dev"),
    ("COX was seen beside ethanol", "ethanol", "COX", "NONE", "dev"),
    ("aspirin inhibits COX now", "aspirin", "COX", "binds", "test"),
    ("IL6 is not what the many cells of old mice that had had ethanol make", "ethanol", "IL6", "NONE", "test"),
    ("IL6 binds ethanol and aspirin", "ethanol", "IL6", "binds", "test"),
    ("IL6 binds ethanol and aspirin", "aspirin", "IL6", "binds", "test"),
]


@pytest.fixture(params=["tags", "blind"])
def run(tmp_path: Path, request: pytest.FixtureRequest, make_set: Callable[..., Path]) -> Path:
    """A run whose predictions on the test part the tests write themselves."""
    lines = []
    for text, head, tail, label, split in ROWS:
        spans = {
            name: {"start": text.index(word), "end": text.index(word) + len(word), "type": type_}
            for name, word, type_ in (("head", head, "CHEMICAL"), ("tail", tail, "GENE"))
        }
        lines.append(json.dumps({"text": text, "others": [], **spans, "label": label, "split": split}))
    (tmp_path / "pairs.jsonl").write_text("\n".join(lines) + "\n")
    choice = CorpusChoice(f"jsonl:{tmp_path / 'pairs.jsonl'}", request.param, "sentence")
    corpus = read_corpus(choice)
    store = make_set(corpus.instances, "glove", 4)
    config = RunConfig(choice, TrainConfig(features="glove", hidden=4, max_epochs=1))
    train_fold(corpus, store, config, 1, tmp_path / "run")
    evaluate_fold(corpus, store, config, 1, tmp_path / "run")
    return tmp_path / "run"


def say(run: Path, *probabilities: float) -> None:
    """Let the run say these probabilities of "binds" of its test instances."""
    path = run / "fold-1" / PREDICTIONS
    header, *lines = path.read_text().splitlines()
    assert header.split("\t")[3:] == ["p(NONE)", "p(binds)"]
    told = [
        "\t".join([*line.split("\t")[:2], "binds" if p > 0.5 else "NONE", f"{1 - p:.6f}", f"{p:.6f}"])
        for line, p in zip(lines, probabilities, strict=True)
    ]
    path.write_text("\n".join([header, *told]) + "\n")


def counted(report: ErrorReport) -> Mapping[str, Mapping[str, tuple[int, int, int]]]:
    """Instances, those that are positive, and those that were missed, of each kind."""
    return {
        name: {kind.name: (kind.instances, kind.micro.gold, kind.missed) for kind in kinds}
        for name, kinds in report.kinds.items()
    }


def test_kinds_of_pairs_are_counted(run: Path) -> None:
    say(run, 0.9, 0.8, 0.25, 0.7)
    report = error_report(run, mistakes=1)
    assert (report.folds, report.instances) == ((1,), 4)
    assert counted(report) == {
        BETWEEN: {"0-2": (2, 2, 1), "3-5": (1, 1, 0), "11-20": (1, 0, 0)},
        LENGTH: {"1-20": (4, 3, 1)},
        PAIRS: {"1": (1, 0, 0), "2-3": (3, 3, 1)},  # the first test sentence stands in the training part too
        ORDER: {"chem first": (1, 1, 0), "gene first": (3, 2, 1)},
        SENTENCE: {"new": (3, 2, 1), "in the training part too": (1, 1, 0)},
    }
    first, second = report.kinds[ORDER]
    assert (first.micro.f1, second.micro.precision, second.missed_as_negative) == (1.0, 0.5, 1.0)
    assert (report.labels["binds"].gold, report.labels["binds"].predicted, report.labels["binds"].tp) == (3, 3, 2)
    assert report.calibration.error == pytest.approx((0.1 + 0.8 + 0.75 + 0.3) / 4)
    [mistake] = report.mistakes
    assert (mistake.gold, mistake.predicted, mistake.probability) == ("NONE", "binds", 0.8)
    assert mistake.text == "{IL6} is not what the many cells of old mice that had had [ethanol] make"


def test_mistakes_come_by_their_probability(run: Path) -> None:
    say(run, 0.1, 0.8, 0.05, 0.7)
    assert [mistake.probability for mistake in error_report(run).mistakes] == [0.95, 0.9, 0.8]
    say(run, 0.9, 0.1, 0.9, 0.9)
    assert not error_report(run).mistakes


def test_what_cannot_be_told_is_refused(run: Path, tmp_path: Path) -> None:
    (tmp_path / "pairs.jsonl").write_text((tmp_path / "pairs.jsonl").read_text().replace("now", "then"))
    with pytest.raises(MismatchError, match="the corpus has changed since"):
        error_report(run)
    (run / "fold-1" / "metrics.json").unlink()
    with pytest.raises(UsageError, match=r"no evaluated fold; `cli eval --run .*run` evaluates one"):
        error_report(run)
