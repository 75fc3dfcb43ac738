"""The head against torch's own LSTM and the paper's equations, written out plainly."""

# ruff: noqa: F722  (shapes are strings)

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from beartype import beartype
from jaxtyping import Float, Int, jaxtyped
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

from classifier.head.config import HeadConfig, InputConfig
from classifier.head.model import Ensemble, FeatureInput, Head

LENGTHS = (9, 7, 7, 3, 1)
SENTENCES = (8, 5, 3)  # rows of the three distinct sentences that the five sequences share
OF_SEQUENCE = (0, 1, 1, 2, 2)
MENTIONS = torch.tensor([[0, 8], [6, 1], [2, 2], [2, 0], [0, 0]])


def make_head(**more: object) -> Head:
    torch.manual_seed(3)
    inputs = (InputConfig(5), InputConfig(4, layers=3))
    head = Head(HeadConfig(inputs, labels=3, tags=2, hidden=6, **more))  # type: ignore[arg-type]
    with torch.no_grad():  # away from the starting point, where the mix and the biases are special
        for parameter in head.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return head


def make_batch() -> tuple[tuple[Tensor, Tensor], Tensor, Tensor]:
    torch.manual_seed(4)
    rows = sum(SENTENCES)
    starts = [sum(SENTENCES[:i]) for i in range(len(SENTENCES))]
    index = torch.zeros(len(LENGTHS), LENGTHS[0], dtype=torch.int64)
    for b, (length, sentence) in enumerate(zip(LENGTHS, OF_SEQUENCE, strict=True)):
        for t in range(length):
            index[b, t] = -1 - t % 2 if t % 4 == 2 else starts[sentence] + t % SENTENCES[sentence]
    lengths = torch.tensor(LENGTHS)
    return (torch.randn(rows, 5).half(), torch.randn(rows, 12)), index, lengths


def inputs_of(head: Head) -> list[Any]:
    """The modules that take in the head's features."""
    return list(head.features)


def torch_lstm(head: Head) -> nn.LSTM:
    """An nn.LSTM with the head's weights; torch orders the gates input, forget, cell, output."""
    lstm = nn.LSTM(9, 6, batch_first=True, bidirectional=True)

    def reorder(w: Tensor) -> Tensor:
        i, f, o, g = w.chunk(4)
        return torch.cat([i, f, g, o])

    weight = torch.cat([feature.weight for feature in inputs_of(head)], dim=2)
    with torch.no_grad():
        for d, suffix in enumerate(("", "_reverse")):
            getattr(lstm, f"weight_ih_l0{suffix}").copy_(reorder(weight[d]))
            getattr(lstm, f"weight_hh_l0{suffix}").copy_(reorder(head.recurrent[d].t()))
            getattr(lstm, f"bias_ih_l0{suffix}").copy_(reorder(head.bias[d]))
            getattr(lstm, f"bias_hh_l0{suffix}").zero_()
    return lstm


def reference(head: Head, lstm: nn.LSTM, rows: Sequence[Tensor], index: Tensor, lengths: Tensor) -> Tensor:
    """Hiai et al. 2021, eq. 1-10, and Peters et al. 2018, eq. 1, sequence by sequence; with the states at the mentions
    where the head reads them."""
    first, second = inputs_of(head)
    layers = rows[1].float()
    if head.config.standardise:
        layers = (layers - second.mean) * second.scale
    weights = second.mix.scores.softmax(0)
    mixed = second.mix.gamma * sum(weights[k] * layers[:, 4 * k : 4 * k + 4] for k in range(3))
    plain = rows[0].float()
    if head.config.standardise:
        plain = (plain - first.mean) * first.scale
    x = torch.cat([plain, mixed], dim=1)
    tags = torch.cat([first.tags, second.tags], dim=1)
    sequences = []
    for steps, length in zip(index.tolist(), lengths.tolist(), strict=True):
        sequences.append(torch.stack([x[i] if i >= 0 else tags[-1 - i] for i in steps[:length]]))
    packed = pack_padded_sequence(pad_sequence(sequences, batch_first=True), lengths, batch_first=True)
    hidden, _ = pad_packed_sequence(lstm(packed)[0], batch_first=True)
    logits = []
    for b, length in enumerate(lengths.tolist()):
        h = hidden[b, :length]
        a = (torch.tanh(h) @ head.attention).softmax(0)
        read = torch.cat([a @ h, *h[MENTIONS[b]]]) if head.config.mention_states else a @ h
        logits.append(head.classifier(torch.tanh(read)))
    return torch.stack(logits)


@pytest.mark.parametrize(("precision", "largest"), [("float32", 1e-6), ("bfloat16", 0.02)])
@pytest.mark.parametrize("mention_states", [False, True])
def test_without_a_gradient_it_gives_the_same(precision: str, largest: float, mention_states: bool) -> None:
    head = make_head(precision=precision, mention_states=mention_states)
    batch = make_batch()
    expected = head(*batch, MENTIONS)
    with torch.inference_mode():
        found = head(*batch, MENTIONS)
    torch.testing.assert_close(found.logits, expected.logits.detach(), atol=largest, rtol=0)
    torch.testing.assert_close(found.attention, expected.attention.detach(), atol=largest, rtol=0)


@pytest.mark.parametrize("standardise", [False, True])
@pytest.mark.parametrize("mention_states", [False, True])
def test_is_the_papers_head(standardise: bool, mention_states: bool) -> None:
    head = make_head(standardise=standardise, mention_states=mention_states)
    rows, index, lengths = make_batch()
    if standardise:
        head.standardise([(x.float().mean(0), x.float().std(0)) for x in rows])
    lstm = torch_lstm(head)
    labels = torch.tensor([0, 2, 1, 1, 0])

    expected = reference(head, lstm, rows, index, lengths)
    nn.functional.cross_entropy(expected, labels).backward()
    shared = {name: p.grad.clone() for name, p in head.named_parameters() if p.grad is not None}
    head.zero_grad()
    logits, _ = head(rows, index, lengths, MENTIONS)
    nn.functional.cross_entropy(logits, labels).backward()

    torch.testing.assert_close(logits, expected, atol=1e-5, rtol=0)
    assert {"attention", "classifier.weight", "features.1.mix.scores", "features.1.mix.gamma"} <= shared.keys()
    assert {"features.0.tags", "features.1.tags"} <= shared.keys()
    for name, gradient in shared.items():
        torch.testing.assert_close(dict(head.named_parameters())[name].grad, gradient, atol=1e-5, rtol=0)
    with torch.no_grad():  # the gradients in place of the weights, to bring them into torch's order of gates
        for parameter in head.parameters():
            assert parameter.grad is not None
            parameter.copy_(parameter.grad)
    for name, gradient in torch_lstm(head).named_parameters():
        if not name.startswith("bias_hh"):  # one bias here, two that add up there
            torch.testing.assert_close(gradient, dict(lstm.named_parameters())[name].grad, atol=1e-5, rtol=0)


def test_bfloat16_is_the_same_head_less_precisely() -> None:
    rows, index, lengths = make_batch()
    exact, low = make_head(), make_head(precision="bfloat16")
    expected, actual = exact(rows, index, lengths).logits, low(rows, index, lengths).logits
    assert not torch.equal(actual, expected)
    torch.testing.assert_close(actual, expected, atol=0.05, rtol=0)
    for head, logits in ((exact, expected), (low, actual)):
        logits.square().sum().backward()
        assert all(p.grad is not None for p in head.parameters())
    for (name, a), (_, b) in zip(exact.named_parameters(), low.named_parameters(), strict=True):
        assert a.grad is not None
        assert b.grad is not None
        assert torch.nn.functional.cosine_similarity(a.grad.flatten(), b.grad.flatten(), dim=0) > 0.99, name


def test_a_head_that_reads_the_mentions_is_told_where_they_are() -> None:
    with pytest.raises(ValueError, match="needs the steps at which the mentions begin"):
        make_head(mention_states=True)(*make_batch())


def test_shapes_and_attention() -> None:
    @jaxtyped(typechecker=beartype)
    def score(
        head: Head,
        rows: tuple[Float[Tensor, "R D1"], Float[Tensor, "R D2"]],
        index: Int[Tensor, "B T"],
        lengths: Int[Tensor, " B"],
    ) -> tuple[Float[Tensor, "B 3"], Float[Tensor, "B T"]]:
        return tuple(head(rows, index, lengths))

    _, attention = score(make_head(), *make_batch())
    torch.testing.assert_close(attention.sum(1), torch.ones(len(LENGTHS)))
    for weights, length in zip(attention, LENGTHS, strict=True):
        assert (weights[:length] > 0).all()
        assert (weights[length:] == 0).all()


def test_a_sequence_is_scored_the_same_in_any_company() -> None:
    head = make_head().eval()
    rows, index, lengths = make_batch()
    together = head(rows, index, lengths).logits
    for b, length in enumerate(LENGTHS):
        alone = head(rows, index[b : b + 1, :length], lengths[b : b + 1]).logits
        torch.testing.assert_close(alone[0], together[b], atol=1e-6, rtol=0)


def test_what_stands_at_padding_does_not_matter() -> None:
    head = make_head()
    rows, index, lengths = make_batch()
    expected = head(rows, index, lengths).logits
    other = torch.where(torch.arange(LENGTHS[0]) < lengths[:, None], index, 4)
    assert not torch.equal(other, index)
    torch.testing.assert_close(head(rows, other, lengths).logits, expected, atol=0, rtol=0)


def test_dropout_keeps_the_mean_and_is_off_in_evaluation() -> None:
    feature = inputs_of(make_head(dropout=0.25))[0]
    x = torch.ones(400, 250)
    dropped = feature.drop(x)
    assert dropped.unique().tolist() == pytest.approx([0, 4 / 3])
    assert (dropped == 0).float().mean() == pytest.approx(0.25, abs=0.01)
    assert torch.equal(feature.eval().drop(x), x)


def test_a_constant_column_is_only_centred() -> None:
    head = make_head(standardise=True)
    rows, index, lengths = make_batch()
    moments = [(x.float().mean(0), x.float().std(0)) for x in rows]
    moments[0][1][2] = 0.0
    head.standardise(moments)
    assert torch.isfinite(head(rows, index, lengths).logits).all()
    with pytest.raises(ValueError, match="without `standardise`"):
        make_head().standardise(moments)


def test_a_projection_is_a_factor_of_the_input_weights() -> None:
    narrow, wide = make_head(project=3), make_head()
    with torch.no_grad():
        for name, parameter in wide.named_parameters():
            if not name.startswith("features"):
                parameter.copy_(dict(narrow.named_parameters())[name])
        for theirs, ours in zip(inputs_of(wide), inputs_of(narrow), strict=True):
            projection = ours.projection * ours.feature.dim**-0.5
            theirs.weight.copy_(ours.weight @ projection)
            theirs.tags.copy_(ours.tags @ torch.linalg.pinv(projection).t())  # what the projection maps to them
            if ours.mix is not None:
                theirs.mix.load_state_dict(ours.mix.state_dict())
    expected, actual = wide(*make_batch()).logits, narrow(*make_batch()).logits
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=0)
    actual.square().sum().backward()
    assert all(feature.projection.grad.abs().sum() > 0 for feature in inputs_of(narrow))


def test_a_step_moves_a_wide_projection_little_more_than_a_narrow_one() -> None:
    def moved(dim: int) -> float:
        torch.manual_seed(1)
        config = HeadConfig((InputConfig(dim),), labels=2, project=8)
        feature, x = FeatureInput(config.inputs[0], config), torch.randn(1, dim)
        optimizer = torch.optim.AdamW(feature.parameters(), lr=0.002)
        before = feature(x)
        before.sum().backward()
        optimizer.step()
        return float((feature(x) - before).abs().mean().item())

    assert moved(1024) < 16 * moved(16)  # 64 times the columns; 8 is their square root


def test_what_is_dropped_is_dropped_in_training_alone() -> None:
    plain, head = make_head(), make_head(dropout=0.5)
    batch = make_batch()
    assert not torch.equal(head(*batch).logits, head(*batch).logits)
    torch.testing.assert_close(head.eval()(*batch).logits, plain(*batch).logits)


def test_an_ensemble_averages_probabilities_and_attention() -> None:
    torch.manual_seed(5)
    ensemble = Ensemble(HeadConfig((InputConfig(5), InputConfig(4, layers=3)), labels=3, tags=2, hidden=6, members=3))
    outputs = [member(*make_batch()) for member in ensemble.members]
    logits, attention = ensemble(*make_batch())
    torch.testing.assert_close(logits.exp(), torch.stack([o.logits.softmax(1) for o in outputs]).mean(0))
    torch.testing.assert_close(attention, torch.stack([o.attention for o in outputs]).mean(0))
    assert not torch.equal(outputs[0].logits, outputs[1].logits)
