"""The system bert against transformers itself, on a tiny checkpoint with random weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy
from toy_checkpoint import write_checkpoint

from classifier.runs.compare import compare
from classifier.runs.config import RunConfig
from classifier.runs.results import read_result
from classifier.systems.bert import scoring
from classifier.systems.bert.fitted import FineTuned, load_fine_tuned
from classifier.systems.bert.network import PairClassifier, load_encoder_and_reader
from classifier.systems.bert.options import BertOptions
from classifier.systems.bert.quick import QuickDropout
from classifier.systems.bert.reading import around, marks_of
from classifier.systems.bert.scoring import make_batch, probabilities
from classifier.systems.bert.system import BERT
from classifier.systems.bert.tuning import backward, make_optimizer, share_of_rate
from classifier.systems.choice import run_config, run_name
from classifier.systems.folds import evaluate_fold, plan_fold, train_fold
from classifier.systems.saved import load_fitted
from classifier.training.epoch import Epoch, Notice
from classifier.training.resume import UNFINISHED
from featstore.corpora import CorpusChoice
from featstore.encoders import load_encoder
from featstore.encoders.bert import use_kernels
from featstore.errors import DataError, MissingFileError, UsageError
from featstore.records import Corpus, Instance

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
Make = Callable[..., Corpus]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("checkpoints") / "tiny")


def config_of(corpus: Corpus, folder: Path, **given: Any) -> RunConfig:
    options = {"encoder": f"bert:{folder}", "lr": 0.01, "batch_size": 8, "max_epochs": 3, **given}
    return run_config(CorpusChoice(corpus.spec, corpus.indicators, corpus.context), "bert", options)


def fine_tuned(corpus: Corpus, folder: Path, readout: str, longest: int = 512) -> FineTuned:
    torch.manual_seed(1)
    marks = marks_of(corpus.instances)
    encoder, reader = load_encoder_and_reader(folder, marks, longest, "cpu", shared=readout == "shared")
    return FineTuned(PairClassifier(encoder, 2, readout, 0.0), reader, "float32", "cpu")


def test_cls_scores_and_steps_as_transformers_does(folder: Path, make_corpus: Make) -> None:
    """The protocol of BioBERT is BertForSequenceClassification: equal scores, gradients and weights after a step."""
    from transformers import BertForSequenceClassification

    instances = [replace(i, tokens=tuple(t for t in i.tokens if "<" not in t)) for i in make_corpus().instances[:20]]
    instances = [replace(i, layout=tuple(range(len(i.tokens))), head=(0, 1), tail=(1, 2)) for i in instances]
    ours = fine_tuned(replace(make_corpus(), instances=tuple(instances)), folder, "cls")
    theirs = BertForSequenceClassification.from_pretrained(folder, num_labels=2).eval()
    theirs.classifier.load_state_dict(ours.network.output.state_dict())
    read, chosen = ours.reader.read(instances), np.arange(20)
    batch = make_batch(read, chosen)
    expected = theirs(input_ids=batch.pieces, attention_mask=batch.mask).logits
    ours.network.eval()
    torch.testing.assert_close(ours.network(*batch), expected, rtol=0, atol=1e-6)
    found = ours.probabilities(instances, ())
    np.testing.assert_allclose(found, expected.softmax(1).detach().numpy(), rtol=0, atol=1e-6)

    gold = torch.arange(20) % 2
    options = BertOptions(encoder=f"bert:{folder}", lr=0.01, clip=0)
    loss = backward(ours.network, read, gold.numpy(), chosen, options)
    cross_entropy(expected, gold).backward()
    assert loss == pytest.approx(cross_entropy(expected, gold).item(), abs=1e-6)
    named = dict(theirs.named_parameters())
    pairs = [
        (
            parameter,
            named[name.replace("encoder.", "bert.", 1) if name.startswith("encoder.") else "classifier" + name[6:]],
        )
        for name, parameter in ours.network.named_parameters()
    ]
    assert len(pairs) == len(named)
    for own, other in pairs:
        torch.testing.assert_close(own.grad, other.grad, rtol=1e-4, atol=1e-6)
    decayed = [p for p in theirs.parameters() if p.ndim > 1]
    plain = [p for p in theirs.parameters() if p.ndim == 1]
    theirs_optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": 0.01}, {"params": plain, "weight_decay": 0.0}], lr=0.01
    )
    theirs_optimizer.step()
    make_optimizer(ours.network, options).step()
    for own, other in pairs:
        strong = other.grad is not None and other.grad.abs() > 1e-4  # Adam's first step has the gradient's sign alone
        torch.testing.assert_close(own[strong], other[strong], rtol=0, atol=1e-5)


def test_starts_reads_the_states_at_the_opening_marks(folder: Path, make_corpus: Make) -> None:
    corpus = make_corpus()
    model = fine_tuned(corpus, folder, "starts")
    instance = corpus.instances[3]
    read = model.reader.read([instance])
    words = instance.words
    pieces = read.texts[0]
    assert [int(pieces[place]) for place in read.starts[0]] == [
        model.reader.vocabulary + model.reader.marks.index(f"<{kind}>") for kind in ("gene", "chem")
    ]
    assert len(pieces) == len(words) + 2
    states = model.network.encoder(input_ids=torch.from_numpy(pieces)[None]).last_hidden_state[0]
    expected = model.network.output(states[read.starts[0]].flatten()).softmax(0).detach().numpy()
    np.testing.assert_allclose(model.probabilities([instance], ())[0], expected, rtol=0, atol=1e-6)


def of_one_sentence(corpus: Corpus) -> list[Instance]:
    """Return pairs that share a sentence: the marks stand at other words of it."""
    first = corpus.instances[0]
    words = [word for word in first.words if not word.startswith("<")]
    places = [(0, 1), (0, 3), (2, 1), (4, 2), (3, 4)]
    return [marked(first, words, head, tail) for head, tail in places]


def marked(like: Instance, words: list[str], head: int, tail: int) -> Instance:
    """Return an instance in the tagged context with marks at two words."""
    tokens = list[str]()
    for n, word in enumerate(words):
        kinds = [kind for place, kind in ((head, like.head_type), (tail, like.tail_type)) if place == n]
        tokens += [*(f"<{kind}>" for kind in kinds), word, *(f"</{kind}>" for kind in kinds)]
    spans = [(at := tokens.index(f"<{kind}>") + 1, at + 1) for kind in (like.head_type, like.tail_type)]
    layout = tuple(range(len(tokens)))
    return replace(like, tokens=tuple(tokens), layout=layout, head=spans[0], tail=spans[1], offsets=(), tags=())


@pytest.mark.parametrize("kind", ["bert", "roberta"])
def test_pairs_share_a_text_that_sees_none_of_their_marks(
    folder: Path, make_corpus: Make, kind: str, tmp_path: Path
) -> None:
    """A pair alone, as the text and two marks under a mask made by hand, gets what it gets among others."""
    checkpoint = folder if kind == "bert" else write_checkpoint(tmp_path / kind, kind=kind)
    corpus = make_corpus()
    model = fine_tuned(corpus, checkpoint, "shared")
    pairs = [*of_one_sentence(corpus), *corpus.instances[:4]]
    read = model.reader.read(pairs)
    assert read.of_instance[:5].tolist() == [0] * 5
    assert len(read.texts) == len({tuple(w for w in pair.words if not w.startswith("<")) for pair in pairs})
    assert read.marks is not None
    found = model.probabilities(pairs, ())
    first = 2 if kind == "roberta" else 0
    for n, instance in enumerate(pairs):
        text = read.texts[read.of_instance[n]]
        words = [word for word in instance.words if not word.startswith("<")]
        assert len(text) == len(words) + 2
        starts = [1 + place for place in places_of_mentions(instance)]
        assert read.starts[n].tolist() == starts
        length = len(text)
        mask = torch.zeros(1, length + 2, length + 2, dtype=torch.int64)
        mask[:, :, :length] = 1
        mask[:, length:, length:] = 1
        states = model.network.encoder(
            input_ids=torch.from_numpy(np.r_[text, read.marks[n]])[None],
            position_ids=torch.tensor([[*range(length), *starts]]) + first,
            attention_mask=mask,
        ).last_hidden_state[0]
        plain = model.network.encoder(input_ids=torch.from_numpy(text)[None]).last_hidden_state[0]
        torch.testing.assert_close(states[:length], plain, rtol=0, atol=1e-5)
        expected = model.network.output(states[length:].flatten()).softmax(0).detach().numpy()
        np.testing.assert_allclose(found[n], expected, rtol=0, atol=1e-5)
    assert len({tuple(row.round(4)) for row in found[:5]}) > 1


def places_of_mentions(instance: Instance) -> list[int]:
    """Return where head and tail begin among the words that are no marks."""
    words = instance.words
    return [sum(not word.startswith("<") for word in words[: span[0]]) for span in (instance.head, instance.tail)]


def test_many_pairs_of_a_text_are_read_in_parts(
    folder: Path, make_corpus: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row may be longer than the model reads, since marks have the positions of their mentions."""
    corpus = make_corpus()
    model, pairs = fine_tuned(corpus, folder, "shared"), of_one_sentence(corpus) * 6
    batch = make_batch(model.reader.read(pairs), np.arange(len(pairs)))
    assert len(batch.pieces) == 1
    assert batch.pieces.shape[1] > 64
    together = model.probabilities(pairs, ())
    monkeypatch.setattr(scoring, "MOST_SHARING", 2)
    batch = make_batch(model.reader.read(pairs), np.arange(len(pairs)))
    assert len(batch.pieces) == len(pairs) / 2
    np.testing.assert_allclose(model.probabilities(pairs, ()), together, rtol=0, atol=1e-6)
    monkeypatch.setattr(scoring, "SCORED_PIECES", 1)
    np.testing.assert_allclose(model.probabilities(pairs, ()), together, rtol=0, atol=1e-6)


def test_what_cannot_share_texts_is_refused(folder: Path, make_corpus: Make, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="give --indicators tags or blind"):
        load_encoder_and_reader(folder, (), 64, "cpu", shared=True)
    other = write_checkpoint(tmp_path / "distilbert", kind="distilbert")
    with pytest.raises(UsageError, match=r"of the kind 'distilbert'; give --readout starts"):
        load_encoder_and_reader(other, marks_of(make_corpus().instances), 64, "cpu", shared=True)
    fine_tuned(make_corpus(), other, "starts").save(tmp_path)
    with pytest.raises(DataError, match="the kind 'distilbert' cannot have been read with --readout shared"):
        BERT.load(tmp_path, BertOptions(readout="shared"), ("neg", "pos"))


def test_context_padding_and_parts_change_nothing(folder: Path, make_corpus: Make) -> None:
    model = fine_tuned(make_corpus(), folder, "starts")
    tagged, sentence = (make_corpus(context).instances for context in ("tagged", "sentence"))
    whole = model.probabilities(tagged, ())
    np.testing.assert_array_equal(whole, model.probabilities(sentence, ()))
    alone = np.concatenate([model.probabilities([instance], ()) for instance in tagged[:9]])
    np.testing.assert_allclose(whole[:9], alone, rtol=0, atol=1e-6)
    read, gold, options = model.reader.read(tagged[:9]), np.arange(9) % 2, BertOptions()
    gradients = []
    for parts in (1, 4):
        model.network.zero_grad()
        backward(model.network.eval(), read, gold, np.arange(9), replace(options, accumulate=parts))
        gradients.append([p.grad.clone() for p in model.network.parameters() if p.grad is not None])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("readout", "epochs"), [("starts", 4), ("shared", 12)])
def test_learns_and_resumes_to_the_same_bytes(
    folder: Path, make_corpus: Make, tmp_path: Path, readout: str, epochs: int
) -> None:
    corpus = make_corpus(count=300)
    config = config_of(corpus, folder, max_epochs=epochs, accumulate=2, precision="bfloat16", readout=readout)
    heard: list[Epoch | Notice] = []
    found = evaluate_fold(corpus, "", config, 1, tmp_path / "whole", progress=heard.append)
    assert found.metrics.micro.f1 is not None
    assert found.metrics.micro.f1 > 0.9
    assert [type(event) for event in heard] == [Notice, *[Epoch] * epochs]

    def interrupt(event: Epoch | Notice) -> None:
        if isinstance(event, Epoch) and event.number == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_fold(corpus, "", config, 1, tmp_path / "cut", progress=interrupt)
    assert [path.name for path in (tmp_path / "cut" / "fold-1").iterdir()] == [UNFINISHED]
    heard.clear()
    evaluate_fold(corpus, "", config, 1, tmp_path / "cut", progress=heard.append)
    assert [event.number for event in heard if isinstance(event, Epoch)] == list(range(3, epochs + 1))
    names = [f"model/{path.name}" for path in (tmp_path / "whole" / "fold-1" / "model").iterdir()]
    assert len(names) == 4
    for name in ("predictions.tsv", "metrics.json", *names):
        assert (tmp_path / "cut/fold-1" / name).read_bytes() == (tmp_path / "whole/fold-1" / name).read_bytes(), name
    assert str(tmp_path).encode() not in (tmp_path / "whole/fold-1/model/config.json").read_bytes()

    loaded = load_fitted(tmp_path / "whole" / "fold-1")
    np.testing.assert_array_equal(loaded.model.probabilities(found.instances, ()), found.predictions.probabilities)
    assert loaded.facts.system is not None
    assert set(loaded.facts.system.sources) >= {"config.json", "model.safetensors", "vocab.txt"}
    assert run_name(config).startswith("toy-bert-tiny-tagged-tags-seed1-")


def test_a_refit_learns_from_both_parts_and_goes_on_when_killed(
    folder: Path, make_corpus: Make, tmp_path: Path
) -> None:
    corpus = make_corpus(count=200)
    config = config_of(corpus, folder, max_epochs=3, lr=0.003, refit=True)
    heard: list[Epoch | Notice] = []
    training = train_fold(corpus, "", config, 1, tmp_path / "whole", progress=heard.append)
    assert len(training.refit) == training.best_epoch >= 2, "choose another rate: there must be a refit to interrupt"
    assert [type(event) for event in heard] == [*[Epoch] * 3, *[Notice] * len(training.refit)]
    assert "on both parts together" in (tmp_path / "whole/fold-1/README.md").read_text()

    def interrupt(event: Epoch | Notice) -> None:
        if isinstance(event, Notice):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_fold(corpus, "", config, 1, tmp_path / "cut", progress=interrupt)
    heard.clear()
    assert train_fold(corpus, "", config, 1, tmp_path / "cut", progress=heard.append).refit == training.refit
    assert len(heard) == len(training.refit) - 1
    weights = "fold-1/model/model.safetensors"
    assert (tmp_path / "cut" / weights).read_bytes() == (tmp_path / "whole" / weights).read_bytes()
    plain = config_of(corpus, folder, max_epochs=3, lr=0.003)
    train_fold(corpus, "", plain, 1, tmp_path / "plain")
    written = tmp_path / "plain/config.toml"
    written.write_text(written.read_text().replace("refit = false\n", ""))  # as a version without the option wrote it
    assert plan_fold(corpus, "", plain, 1, tmp_path / "plain").train
    with pytest.raises(UsageError, match="refit is False there and True now"):
        plan_fold(corpus, "", config, 1, tmp_path / "plain")
    assert (tmp_path / "plain" / weights).read_bytes() != (tmp_path / "whole" / weights).read_bytes()
    for name, each in (("plain", plain), ("whole", config)):
        evaluate_fold(corpus, "", each, 1, tmp_path / name)
    results = [read_result(tmp_path / name / "fold-1") for name in ("plain", "whole")]
    with pytest.raises(UsageError, match="has learnt from the dev part too"):
        compare(results[:1], results[1:], {})


def test_lower_layers_stay_as_they_are(folder: Path, make_corpus: Make) -> None:
    model = fine_tuned(make_corpus(), folder, "starts")
    before = {name: value.clone() for name, value in model.network.state_dict().items()}
    options = BertOptions(encoder=f"bert:{folder}", freeze=2, layer_decay=0.5, lr=0.01)
    optimizer = make_optimizer(model.network, options)
    assert sorted({group["peak"] for group in optimizer.param_groups}) == [0.005, 0.01]
    backward(model.network, model.reader.read(make_corpus().instances[:8]), np.arange(8) % 2, np.arange(8), options)
    optimizer.step()
    moved = {name for name, value in model.network.state_dict().items() if not torch.equal(value, before[name])}
    assert moved
    assert all("layer.1." in name or name.startswith("output.") for name in moved)
    with pytest.raises(UsageError, match="--freeze 4 leaves nothing to train: the model has 3 layers"):
        make_optimizer(model.network, replace(options, freeze=4))


def test_the_course_of_the_rate() -> None:
    assert [share_of_rate(done, 0.1) for done in (0.0, 0.05, 0.1, 0.55, 1.0)] == pytest.approx([0, 0.5, 1, 0.5, 0])
    assert share_of_rate(0.0, 0.0) == 1.0


def test_a_long_instance_is_read_around_its_pair_and_told(folder: Path, make_corpus: Make, tmp_path: Path) -> None:
    corpus = make_corpus()
    long = [
        replace(
            i,
            tokens=("cells",) * 80 + i.tokens + ("study",) * 80,
            head=(i.head[0] + 80, i.head[1] + 80),
            tail=(i.tail[0] + 80, i.tail[1] + 80),
            layout=tuple(range(len(i.tokens) + 160)),
        )
        for i in corpus.instances
    ]
    model = fine_tuned(corpus, folder, "starts")
    read = model.reader.read(long)
    assert read.windowed == len(long)
    assert set(read.lengths.tolist()) == {64}
    vocabulary, marks = model.reader.vocabulary, model.reader.marks
    for pieces, (head, tail) in zip(read.texts, read.starts, strict=True):
        assert (pieces[head] - vocabulary, pieces[tail] - vocabulary) == (marks.index("<gene>"), marks.index("<chem>"))
    heard: list[Epoch | Notice] = []
    several = replace(corpus, instances=(*long[:45], *corpus.instances[45:]))
    train_fold(several, "", config_of(corpus, folder, max_epochs=1), 1, tmp_path, progress=heard.append)
    assert isinstance(heard[0], Notice)
    assert "30 of 66 instances are longer than 64 word pieces" in heard[0].text


@settings(max_examples=60, deadline=None)
@given(st.integers(8, 200), st.data())
def test_windows_hold_both_mentions(length: int, data: st.DataObject) -> None:
    starts = data.draw(st.tuples(st.integers(0, length - 1), st.integers(0, length - 1)))
    spans = [(start, data.draw(st.integers(start + 1, length))) for start in starts]
    room = data.draw(st.integers(4, length - 1))
    kept = around(length, spans, room)
    assert len(kept) == room
    assert (np.diff(kept) > 0).all()
    assert kept[0] >= 0
    assert kept[-1] < length
    assert set(starts) <= set(kept.tolist())
    first, last = min(starts), max(end for _, end in spans)
    if last - first <= room:
        assert set(range(first, last)) <= set(kept.tolist())


def test_quick_dropout() -> None:
    torch.manual_seed(1)
    layer, ones = QuickDropout(0.25), torch.ones(200, 333, requires_grad=True)
    found = layer(ones)
    assert found.unique().tolist() == pytest.approx([0.0, 4 / 3])
    assert found.mean().item() == pytest.approx(1, abs=0.01)
    found.sum().backward()
    assert ones.grad is not None
    assert torch.equal(ones.grad, found)
    assert layer.eval()(ones) is ones


def test_what_is_no_checkpoint_is_refused(folder: Path, make_corpus: Make, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="give --encoder bert:DIR"):
        BERT.sources(BertOptions())
    with pytest.raises(UsageError, match="give --encoder bert:DIR"):
        BERT.label(BertOptions(encoder="elmo:x"))
    with pytest.raises(MissingFileError, match=r"config.json does not exist"):
        BERT.sources(BertOptions(encoder=f"bert:{tmp_path}"))
    if not torch.cuda.is_available():
        with pytest.raises(UsageError, match="--device cuda needs a GPU"):
            BERT.sources(BertOptions(encoder=f"bert:{folder}", device="cuda"))
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(DataError, match="is not a checkpoint that transformers can load"):
        load_encoder_and_reader(tmp_path, (), 64, "cpu")
    (damaged := write_checkpoint(tmp_path / "damaged")).joinpath("model.safetensors").write_bytes(b"cut")
    with pytest.raises(DataError, match="is not a checkpoint that transformers can load"):
        load_encoder_and_reader(damaged, (), 64, "cpu")
    with pytest.raises(DataError, match="is not a checkpoint that transformers can load"):
        load_encoder(f"bert:{damaged}")
    with pytest.raises(UsageError, match="too few for a pair"):
        load_encoder_and_reader(folder, (), 5, "cpu")
    corpus = make_corpus()
    train_fold(corpus, "", config_of(corpus, folder, max_epochs=1), 1, tmp_path / "run")
    model = tmp_path / "run" / "fold-1" / "model"
    config = (model / "config.json").read_text()
    (model / "config.json").write_text(config.replace('"hidden_size": 16', '"hidden_size": 32'))
    with pytest.raises(ValueError, match="weights are not those of the configuration"):
        load_fine_tuned(model, BertOptions(), 2)
    with pytest.raises(DataError, match="does not hold a fine-tuned model as it was written"):
        BERT.load(model, BertOptions(), ("neg", "pos"))


def test_the_loss_must_be_a_number(folder: Path, make_corpus: Make, tmp_path: Path) -> None:
    corpus = make_corpus()
    with pytest.raises(UsageError, match=r"the loss became .* lower --lr"):
        train_fold(corpus, "", config_of(corpus, folder, lr=1e30, clip=0.0), 1, tmp_path)


@pytest.mark.parametrize(("precision", "bound"), [("float32", 1e-7), ("bfloat16", 0.05), ("int8", 0.05)])
def test_other_precisions_give_nearly_the_same(folder: Path, make_corpus: Make, precision: str, bound: float) -> None:
    if precision == "int8" and not torch.cpu._is_vnni_supported():
        pytest.skip("int8 needs VNNI")
    corpus = make_corpus()
    model = fine_tuned(corpus, folder, "starts")
    expected = model.probabilities(corpus.instances[:20], ())
    changed = model.at_precision(precision, lambda module: use_kernels(module, "int8", torch.device("cpu")))
    found = changed.probabilities(corpus.instances[:20], ())
    assert np.abs(found - expected).max() < bound
    assert (found != expected).any() == (precision != "float32")


def test_probabilities_of_nothing(folder: Path, make_corpus: Make) -> None:
    model = fine_tuned(make_corpus(), folder, "starts")
    assert probabilities(model.network, model.reader.read([]), "float32", "cpu").shape == (0, 2)
