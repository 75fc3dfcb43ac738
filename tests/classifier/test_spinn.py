"""SPINN as a system: it learns, goes on after an interrupt, and is read back, byte for byte."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from classifier.systems.contract import Fit, FitTask, KeptState
from classifier.systems.spinn.examples import distances
from classifier.systems.spinn.network import look_up
from classifier.systems.spinn.options import SpinnOptions
from classifier.systems.spinn.system import SPINN
from classifier.systems.spinn.words import build_vocabulary, vector_files
from classifier.training.epoch import Epoch, Notice
from classifier.training.loop import reproducible
from featstore.errors import DataError, MismatchError, UsageError
from featstore.records import Corpus, Instance

Make = Callable[..., Corpus]
SMALL = SpinnOptions(
    trees="balanced",
    word_dropout=0.1,
    consistency=0.0,
    hidden=16,
    tracker=4,
    mlp=8,
    position=3,
    lr=0.02,
    dropout=0.1,
    batch_size=16,
    max_epochs=3,
    members=2,
)


class Memory:
    """A keeper that remembers every state, and begins with one."""

    def __init__(self, first: KeptState | None = None) -> None:
        self.first = first
        self.kept: list[KeptState] = []

    def load(self) -> KeptState | None:
        return self.first

    def save(self, state: KeptState) -> None:
        # As a file keeps it: later changes of the tensors do not reach it.
        tensors = {name: value.clone() for name, value in state.tensors.items()}
        self.kept.append(KeptState(tensors, json.loads(json.dumps(dict(state.facts)))))


@pytest.fixture
def vectors(tmp_path: Path) -> Path:
    path = tmp_path / "vectors.txt"
    rng = np.random.default_rng(1)
    words = ("the", "level", "of", "in", "patients", "inhibits", "unrelated", "gene", "drug")
    path.write_text("".join(f"{word} {' '.join(map(str, rng.normal(size=6).round(3)))}\n" for word in words))
    return path


def fit(corpus: Corpus, options: SpinnOptions, keeper: Memory) -> tuple[Fit, list[Epoch | Notice]]:
    heard: list[Epoch | Notice] = []
    train, dev = corpus.instances[:66], corpus.instances[66:]
    with reproducible(options.seed, options.threads):
        return SPINN.fit(FitTask(options, train, dev, corpus.labels, corpus.positive, (), heard.append, keeper)), heard


def saved(made: Fit, folder: Path) -> dict[str, bytes]:
    folder.mkdir()
    made.model.save(folder)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("readout", ["root", "root+pair+max"])
def test_it_learns(make_corpus: Make, vectors: Path, readout: str) -> None:
    corpus = make_corpus("sentence")
    options = replace(SMALL, word_vectors=str(vectors), readout=readout, max_epochs=8, members=1)
    made, heard = fit(corpus, options, Memory())
    assert [type(event) for event in heard] == [Epoch] * 8
    assert made.epochs[-1].train_loss < made.epochs[0].train_loss / 2
    if readout != "root":  # the signal is a word anywhere, and 66 instances do not teach the way to the root
        assert max(epoch.dev_f1 for epoch in made.epochs) > 0.8


def test_an_interrupted_fit_ends_with_the_same_bytes(make_corpus: Make, vectors: Path, tmp_path: Path) -> None:
    corpus, options = make_corpus("sentence"), replace(SMALL, word_vectors=str(vectors), trees="right", consistency=0.5)
    keeper = Memory()
    whole, _ = fit(corpus, options, keeper)
    wanted = saved(whole, tmp_path / "whole")
    assert set(wanted) == {"networks.safetensors", "vectors.safetensors", "words.json"}
    assert [epoch.number for epoch in whole.epochs] == [1, 2, 3, 4, 5, 6]
    assert {epoch.of for epoch in whole.epochs} == {options.epochs}
    for number in (0, 2, 4):
        again, heard = fit(corpus, options, Memory(keeper.kept[number]))
        assert len(heard) == 5 - number
        assert saved(again, tmp_path / f"again{number}") == wanted
    other, _ = fit(corpus, replace(options, seed=2), Memory())
    assert saved(other, tmp_path / "other")["networks.safetensors"] != wanted["networks.safetensors"]


def test_a_refit_learns_from_both_parts_and_goes_on(make_corpus: Make, vectors: Path, tmp_path: Path) -> None:
    corpus, options = make_corpus("sentence"), replace(SMALL, word_vectors=str(vectors), refit=True)
    keeper = Memory()
    whole, heard = fit(corpus, options, keeper)
    wanted, own = saved(whole, tmp_path / "whole"), options.max_epochs
    last = [max(e.number for e in whole.epochs[n : n + own] if e.best) - n for n in (0, own)]  # of both networks
    assert len(whole.refit) == sum(last)
    assert [type(event) for event in heard] == [Epoch] * 2 * own + [Notice] * sum(last)
    plain, _ = fit(corpus, replace(options, refit=False), Memory())
    assert plain.refit == ()
    assert saved(plain, tmp_path / "plain") != wanted
    for number in (2 * own - 1, 2 * own + last[0]):  # no epoch of the refit is kept, one of the second network
        again, heard = fit(corpus, options, Memory(keeper.kept[number]))
        assert len(heard) == len(keeper.kept) - number - 1
        assert again.refit == whole.refit
        assert saved(again, tmp_path / f"again{number}") == wanted


def test_several_threads_add_up_the_gradient_of_a_table_in_one_order() -> None:
    numbers = np.random.default_rng(1).integers(0, 44, (4000, 2))
    with reproducible(seed=1, threads=2):
        table, weights = torch.randn(44, 64, requires_grad=True), torch.randn(4000, 2, 64)
        gradients = [torch.autograd.grad((look_up(table, numbers) * weights).sum(), table)[0] for _ in range(10)]
    assert all(torch.equal(each, gradients[0]) for each in gradients)


def test_it_is_read_back(make_corpus: Make, vectors: Path, tmp_path: Path) -> None:
    corpus, options = make_corpus("tagged"), replace(SMALL, word_vectors=str(vectors))
    made, _ = fit(corpus, options, Memory())
    wanted = saved(made, tmp_path / "model")
    model = SPINN.load(tmp_path / "model", options, corpus.labels)
    assert model.parameters == made.model.parameters
    given = made.model.probabilities(corpus.instances, ())
    assert np.array_equal(model.probabilities(corpus.instances, ()), given)
    np.testing.assert_allclose(given.sum(1), 1, rtol=1e-6)
    blind = [replace(instance, label=None) for instance in corpus.instances[3:5]]
    np.testing.assert_allclose(model.probabilities(blind, ()), given[3:5], atol=1e-6)
    assert model.probabilities([], ()).shape == (0, 2)
    model.save(tmp_path)
    assert {name: (tmp_path / name).read_bytes() for name in wanted} == wanted


@pytest.mark.parametrize("wrong", ["shape", "type", "missing", "json", "words", "label", "member"])
def test_files_that_are_not_as_they_were_written(make_corpus: Make, vectors: Path, tmp_path: Path, wrong: str) -> None:
    corpus = make_corpus("sentence", 40)
    options = replace(SMALL, word_vectors=str(vectors), max_epochs=1, members=1)
    made = SPINN.fit(
        FitTask(options, corpus.instances[:30], corpus.instances[30:], *_labels(corpus), (), _silent, Memory())
    )
    made.model.save(tmp_path)
    networks, words = tmp_path / "networks.safetensors", tmp_path / "words.json"
    tensors, facts = load_file(networks), json.loads(words.read_text())
    if wrong == "shape":
        save_file(tensors | {"0/composer": torch.zeros(2, 2)}, networks)
    elif wrong == "type":
        save_file(tensors | {"0/composer": tensors["0/composer"].double()}, networks)
    elif wrong == "missing":
        save_file({name: value for name, value in tensors.items() if name != "0/composer"}, networks)
    elif wrong == "json":
        words.write_text("{")
    elif wrong == "words":
        words.write_text(json.dumps(facts | {"fixed": facts["fixed"][1:]}))
    elif wrong == "label":
        words.write_text(json.dumps(facts | {"favoured": [7]}))
    with pytest.raises(DataError, match="does not hold a fitted SPINN as it was written"):
        SPINN.load(tmp_path, replace(options, members=2) if wrong == "member" else options, corpus.labels)


def _labels(corpus: Corpus) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return corpus.labels, corpus.positive


def _silent(_: Epoch | Notice) -> None:
    pass


def test_another_table_of_trees_is_refused(make_corpus: Make, vectors: Path, tmp_path: Path) -> None:
    corpus, path = make_corpus("sentence", 40), tmp_path / "trees.tsv"
    named = [replace(each, source={"pmid": each.id, "head": "T1", "tail": "T2"}) for each in corpus.instances]
    lines = [f"{each.id}\tT1\tT2\t{_right(each)}" for each in named]
    path.write_text("\n".join(["pmid\tchemical\tgene\ttree", *lines]) + "\n")
    options = replace(SMALL, word_vectors=str(vectors), trees=str(path), max_epochs=1, members=1)
    assert set(SPINN.sources(options)) == {"trees.tsv", "vectors.txt"}
    made = SPINN.fit(FitTask(options, named[:30], named[30:], *_labels(corpus), (), _silent, Memory()))
    made.model.save(tmp_path)
    assert len(made.model.probabilities(named, ())) == len(named)
    path.write_text("\n".join(["pmid\tchemical\tgene\ttree", *lines[1:]]) + "\n")
    with pytest.raises(MismatchError, match="not the table of trees"):
        SPINN.load(tmp_path, options, corpus.labels).probabilities(named, ())


def _right(instance: Instance) -> str:
    words = list(instance.tokens)
    return " ".join(f"( {word}" for word in words[:-1]) + f" {words[-1]}" + " )" * (len(words) - 1)


def test_options_that_cannot_be_used(tmp_path: Path) -> None:
    for ask in (SPINN.label, SPINN.sources):
        with pytest.raises(UsageError, match=r"--trees FILE.*--trees right"):
            ask(SpinnOptions())
    assert SPINN.label(SpinnOptions(trees="right", members=3)) == "spinn:right-x3"
    assert SPINN.label(SpinnOptions(trees="a/b.tsv")) == "spinn:parsed"
    with pytest.raises(UsageError, match="needs a dropout or a word dropout above 0"):
        SpinnOptions(trees="right", dropout=0.0, word_dropout=0.0)
    with pytest.raises(UsageError, match="joined by"):
        vector_files("bioglove+")
    bad = tmp_path / "bad.txt"
    for text, said in (("a 1 2\nb 1\n", "line 2: 1 number; 2"), ("a x\n", "line 1"), ("a 1 nan\n", "finite")):
        bad.write_text(text)
        with pytest.raises(DataError, match=said):
            build_vocabulary([bad], [])


def test_files_of_vectors_stand_side_by_side(tmp_path: Path) -> None:
    first, second = tmp_path / "a.txt", tmp_path / "b.txt"
    first.write_text("x 1 -1\ny 3 -3\n")
    second.write_text("y 5\nz -5\n")
    words = build_vocabulary([first, second], [])
    assert words.fixed == ("x", "y", "z")
    assert (words.vectors[0, 2], words.vectors[2, 0]) == (0, 0)
    assert words.vectors[1].tolist() == pytest.approx([3 / 5**0.5, -3 / 5**0.5, 1], rel=1e-3)
    assert words.encode(["y", "nowhere"]).tolist() == [1, 3]


def test_distances_have_buckets() -> None:
    marks = np.zeros(40, np.int64)
    marks[20] = 1
    found = distances(marks)
    assert found[[0, 14, 19, 20, 21, 25, 26, 39], 0].tolist() == [0, 4, 9, 10, 11, 15, 16, 19]
    assert set(found[:, 1]) == {21}
