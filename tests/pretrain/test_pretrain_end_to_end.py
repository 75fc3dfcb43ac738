"""From text to a folder that the encoders take, in processes of their own; killed and run again; read by flair."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch

from featstore.encoders import load_encoder
from featstore.encoders.bilm import load_elmo
from featstore.encoders.charlm_file import load_charlm, save_charlm
from featstore.errors import DataError, MismatchError, MissingFileError, UsageError
from featstore.pretrain.adaptive import load_softmax
from featstore.pretrain.bilm import BiLMNetwork, BiLMTask, held_out_perplexity
from featstore.pretrain.cse import CSEConfig, pretrain_cse
from featstore.pretrain.elmo import ELMoConfig, pretrain_elmo
from featstore.pretrain.loop import CHECKPOINT
from featstore.pretrain.schedule import PretrainProgress, Schedule
from featstore.pretrain.sentences import BEGIN, END
from featstore.pretrain.text import TextSource

SENTENCES = [["Drug", "G7", "inhibits", "G9", "in", "<gene>", "cells", "</gene>", "."], ["naïve", "-"], ["x" * 70]]
SCHEDULE = Schedule(steps=12, warmup=2, evaluate_every=6, checkpoint_every=2)
STILL = Schedule(steps=1, learning_rate=0.0)


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "a.txt"
    genes = [f"G{k}" for k in range(110)]
    path.write_text(
        "\n".join(f"Drug {g} inhibits {genes[i % 109]}." for i, g in enumerate(genes * 9)), encoding="utf-8"
    )
    return path


def cse(text: Path, out: Path, **changes: object) -> CSEConfig:
    small: dict[str, Any] = {
        "hidden_size": 24,
        "embedding_size": 6,
        "streams": 8,
        "length": 20,
        "least": 2,
        "dropout": 0.1,
    }
    fixed = {"text": (text,), "out": out, "schedule": SCHEDULE, "held_out_chars": 500, "dtype": "float32"}
    return CSEConfig(**{**small, **fixed, **changes})


def elmo(text: Path, out: Path, **changes: object) -> ELMoConfig:
    small: dict[str, Any] = {
        "dim": 8,
        "projection_dim": 6,
        "char_dim": 4,
        "filters": ((1, 4), (3, 8)),
        "tokens": 64,
        "least": 1,
    }
    clips = {"cell_clip": 0.3, "proj_clip": 0.2}  # so that they bite
    fixed = {"text": (text,), "out": out, "schedule": SCHEDULE, "held_out_chars": 500, "dtype": "float32"}
    return ELMoConfig(**{**small, **clips, **fixed, **changes})


def run(config: CSEConfig) -> subprocess.Popen[bytes]:
    code = "from featstore.pretrain.cse import *\nfrom featstore.pretrain.schedule import Schedule\n"
    code += "from pathlib import PosixPath\n"
    return subprocess.Popen([sys.executable, "-c", f"{code}if __name__ == '__main__':\n    pretrain_cse({config!r})\n"])


def test_cse_is_trained_in_both_directions_and_flair_reads_it(text: Path, tmp_path: Path) -> None:
    seen: list[PretrainProgress] = []
    result = pretrain_cse(cse(text, tmp_path, dtype="float16", flair=True), seen.append)
    assert result["encoder"] == f"cse:{tmp_path}"
    assert {p.name for p in seen} == {"forward", "backward"}
    assert [entry["step"] for entry in result["forward"]["log"]] == [6, 12]
    card = (tmp_path / "README.md").read_text()
    assert "a.txt" in card
    assert "hidden_size | 24" in card
    assert f"{result['backward']['log'][-1]['held_out']:.3f}" in card

    from flair.data import Sentence
    from flair.embeddings import FlairEmbeddings

    ours = load_encoder(f"cse:{tmp_path}").encode(SENTENCES)
    for column, direction in enumerate(("forward", "backward")):
        embeddings = FlairEmbeddings(tmp_path / f"{direction}.pt")
        for tokens, vectors in zip(SENTENCES, ours, strict=True):
            sentence = Sentence(list(tokens))
            embeddings.embed(sentence)
            theirs = torch.stack([token.embedding for token in sentence]).numpy()
            np.testing.assert_allclose(vectors[:, 24 * column : 24 * (column + 1)], theirs, atol=1e-5)


@pytest.mark.usefixtures("in_this_process")
def test_the_perplexity_of_an_elmo_can_be_measured_again(text: Path, tmp_path: Path) -> None:
    log = pretrain_elmo(elmo(text, tmp_path, precision="float32"))["log"]
    lm, source = load_elmo(tmp_path), TextSource((text,), held_out_chars=500)
    softmax = load_softmax(tmp_path, lm.config.projection_dim)
    again = held_out_perplexity(lm, softmax, source)
    assert again == pytest.approx(min(entry["held_out"] for entry in log), rel=1e-5)
    worse = replace(softmax, weights={name: tensor * 0 for name, tensor in softmax.weights.items()})
    assert held_out_perplexity(lm, worse, source) > again
    with pytest.raises(DataError, match=r"'head\.weight' has the shape"):
        load_softmax(tmp_path, 7)
    with pytest.raises(MissingFileError, match="AllenNLP's models have none"):
        load_softmax(text.parent, 6)


@pytest.mark.usefixtures("in_this_process")
def test_the_encoder_gives_the_states_that_elmo_was_trained_with(text: Path, tmp_path: Path) -> None:
    config = elmo(text, tmp_path, precision="float32")
    log = pretrain_elmo(config)["log"]
    assert log[-1]["held_out"] < log[0]["held_out"]
    encoder = load_encoder(f"elmo:{tmp_path}")
    words = tuple(json.loads((tmp_path / "training" / "vocabulary.json").read_text())["words"])
    shape: dict[str, Any] = {"dropout": 0.0, "tokens": 64, "max_tokens": 60, "precision": "float32"}
    task = BiLMTask(config.model(), words, config.source, **shape)
    from featstore.pretrain.loop import train

    train(task, config.schedule, 12, tmp_path / "training")  # already at its end: takes up the weights
    task.model.eval()
    batch = task._batcher.build(SENTENCES)
    with torch.no_grad():
        states = cast(BiLMNetwork, task.model).states(
            torch.from_numpy(batch.characters).long(), torch.from_numpy(batch.words)
        )
    assert float((states[1].abs() >= 0.2).float().mean()) > 0.01  # the clip is at work
    for b, (tokens, vectors) in enumerate(zip(SENTENCES, encoder.encode(SENTENCES), strict=True)):
        assert [BEGIN, *tokens, END][0] == BEGIN
        n = len(tokens)
        for layer, state in enumerate(states):
            forward, backward = state[0, 1 : n + 1, b], state[1, 1 : n + 1, b].flip(0)
            expected = torch.cat([forward, backward], dim=1).numpy()
            np.testing.assert_allclose(vectors[:, 12 * layer : 12 * layer + 12], expected, atol=1e-5)


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_a_pair_goes_on_learning(text: Path, tmp_path: Path, suffix: str) -> None:
    pretrain_cse(cse(text, tmp_path / "first", flair=True))
    for path in (tmp_path / "first").glob("*ward.*"):
        if path.suffix != suffix:
            path.unlink()
    (tmp_path / "few.txt").write_text("Drug G7 inhibits G9.\n" * 20, encoding="utf-8")
    few = tmp_path / "few.txt"
    more = cse(few, tmp_path / "more", valid=(few,), least=99, start=tmp_path / "first", hidden_size=99, schedule=STILL)
    pretrain_cse(more)  # it has its characters, so that few others are enough
    first, still = (load_encoder(f"cse:{tmp_path / name}").encode(SENTENCES) for name in ("first", "more"))
    np.testing.assert_array_equal(first.values, still.values)
    card = (tmp_path / "more" / "README.md").read_text()
    assert "hidden_size | 24" in card
    assert f"start, forward | forward{suffix} " in card
    with pytest.raises(MismatchError, match="start is None there and "):
        pretrain_cse(cse(text, tmp_path / "first", start=tmp_path / "more"))
    with pytest.raises(UsageError, match="holds the models to start from"):
        replace(more, start=more.out)
    lm = load_charlm(tmp_path / "more" / "forward.safetensors")
    bare = {name: tensor for name, tensor in lm.weights.items() if not name.startswith("decoder")}
    save_charlm(tmp_path / "more" / "forward.safetensors", replace(lm, weights=bare), dtype="float32")
    with pytest.raises(DataError, match="if it has its output layer"):
        pretrain_cse(cse(text, tmp_path / "third", start=tmp_path / "more"))


@pytest.mark.usefixtures("in_this_process")
def test_an_elmo_goes_on_learning(text: Path, tmp_path: Path) -> None:
    words = "\n".join(f"Compound {i} of {i} others was kept." for i in range(40))
    (tmp_path / "other.txt").write_text(words, encoding="utf-8")
    pretrain_elmo(elmo(text, tmp_path / "first"))
    other = elmo(tmp_path / "other.txt", tmp_path / "more", valid=(tmp_path / "other.txt",), schedule=STILL)
    with pytest.raises(DataError, match="words occur"):
        pretrain_elmo(other)
    more = replace(other, start=tmp_path / "first", dim=99)
    pretrain_elmo(more)  # it has its words, so that few others are enough
    first, still = (load_encoder(f"elmo:{tmp_path / name}").encode(SENTENCES) for name in ("first", "more"))
    np.testing.assert_array_equal(first.values, still.values)
    softmaxes = [load_softmax(tmp_path / name, 6) for name in ("first", "more")]
    assert softmaxes[0].words == softmaxes[1].words
    card = (tmp_path / "more" / "README.md").read_text()
    assert "dim | 8" in card
    assert "start | weights.hdf5 " in card
    log = pretrain_elmo(replace(more, out=tmp_path / "learnt", schedule=SCHEDULE))["log"]
    assert log[-1]["held_out"] < log[0]["held_out"]
    with pytest.raises(UsageError, match="holds the model to start from"):
        replace(more, start=more.out)
    (tmp_path / "first" / "softmax.safetensors").unlink()
    with pytest.raises(MissingFileError, match="AllenNLP's models have none"):
        pretrain_elmo(replace(more, fresh=True))
    options = json.loads((tmp_path / "learnt" / "options.json").read_text())
    options["char_cnn"]["activation"] = "tanh"
    (tmp_path / "learnt" / "options.json").write_text(json.dumps(options))
    with pytest.raises(DataError, match="with ReLU and skip connections"):
        pretrain_elmo(replace(more, start=tmp_path / "learnt", fresh=True))


def test_killed_and_run_again_gives_the_same_weights(text: Path, tmp_path: Path) -> None:
    schedule = replace(SCHEDULE, steps=60, checkpoint_every=5, evaluate_every=20)
    config = cse(text, tmp_path / "cut", schedule=schedule, direction="forward")
    checkpoint = config.out / "training" / "forward" / CHECKPOINT
    process = run(config)
    deadline = time.monotonic() + 300
    while not checkpoint.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert checkpoint.exists()
    pretrain_cse(config)
    whole = replace(config, out=tmp_path / "whole")
    pretrain_cse(whole)
    made = [load_charlm(folder / "forward.safetensors").weights for folder in (config.out, whole.out)]
    for name, weight in made[0].items():
        assert torch.equal(weight, made[1][name]), name


def test_two_processes_share_the_streams(text: Path, tmp_path: Path) -> None:
    """Without dropout and in float32 the mean of two halves' gradients is the whole's, up to rounding."""
    made = []
    for processes in (1, 2):
        out = tmp_path / str(processes)
        options = {"direction": "forward", "dropout": 0.0, "precision": "float32", "processes": processes}
        assert pretrain_cse(cse(text, out, **options))["encoder"] is None  # the other direction is missing
        made.append(load_charlm(out / "forward.safetensors").weights)
    for name, weight in made[0].items():
        torch.testing.assert_close(weight, made[1][name], atol=1e-4, rtol=1e-3)


def test_two_processes_share_the_sentences(text: Path, tmp_path: Path) -> None:
    config = elmo(text, tmp_path, processes=2)
    log = pretrain_elmo(config)["log"]
    assert log[-1]["held_out"] < log[0]["held_out"]
    assert log[-1]["units"] >= 12 * 40  # tokens of the whole group: twelve batches of about 64
    assert load_encoder(f"elmo:{tmp_path}").encode(SENTENCES).values.shape == (sum(map(len, SENTENCES)), 36)
    with pytest.raises(MismatchError, match="processes is 2 there and 1 here"):
        pretrain_elmo(replace(config, processes=1))


def test_bad_input(text: Path, tmp_path: Path) -> None:
    (tmp_path / "few.txt").write_text("aaa\n" * 5000, encoding="utf-8")
    with pytest.raises(DataError, match=r"only \d+ characters occur"):
        pretrain_cse(cse(tmp_path / "few.txt", tmp_path / "a"))
    with pytest.raises(DataError, match=r"only \d+ words occur"):
        pretrain_elmo(elmo(tmp_path / "few.txt", tmp_path / "b"))
    with pytest.raises(UsageError, match="cannot be shared evenly"):
        cse(text, tmp_path, processes=3)
    with pytest.raises(UsageError, match="Did you mean 'forward'"):
        cse(text, tmp_path, direction="forwards")
    with pytest.raises(UsageError, match="filters"):
        elmo(text, tmp_path, filters=((60, 4),))
    pretrain_cse(cse(text, tmp_path / "c", direction="forward"))
    with pytest.raises(MismatchError, match="hidden_size is 24 there and 16 here"):  # raised in the child
        pretrain_cse(cse(text, tmp_path / "c", direction="forward", hidden_size=16))
