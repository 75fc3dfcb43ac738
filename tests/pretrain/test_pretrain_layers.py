"""The parts of the biLM that are written by hand: the projected LSTM and the adaptive softmax."""

import pytest
import torch
from torch import Tensor, nn

from featstore.pretrain.adaptive import AdaptiveSoftmax
from featstore.pretrain.projected_lstm import projected_lstm

CLIPS = {"cell_clip": 0.8, "proj_clip": 0.9}


def tensors(directions: int, steps: int, batch: int, read: int, cells: int, out: int) -> list[Tensor]:
    torch.manual_seed(0)
    shapes = [
        (directions, steps, batch, read),
        (directions, 4 * cells, read),
        (directions, 4 * cells, out),
        (directions, 4 * cells),
        (directions, out, cells),
    ]
    return [torch.randn(*shape, dtype=torch.float64, requires_grad=True) for shape in shapes]


def test_projected_lstm_gradients_where_both_clips_bite() -> None:
    arguments = tensors(2, 4, 3, 5, 6, 4)

    def layer(*given: Tensor) -> Tensor:
        return projected_lstm(
            *given, cell_clip=CLIPS["cell_clip"], proj_clip=CLIPS["proj_clip"], precision=torch.float64
        )

    clipped = (layer(*arguments).abs() >= CLIPS["proj_clip"]).double().mean()
    assert 0.01 < clipped < 0.9
    assert torch.autograd.gradcheck(layer, arguments)


def test_projected_lstm_is_torchs_where_nothing_is_clipped() -> None:
    x, ih, hh, bias, hr = tensors(2, 7, 3, 4, 6, 5)
    ours = projected_lstm(x, ih, hh, bias, hr, cell_clip=1e9, proj_clip=1e9, precision=torch.float64)
    for d in range(2):
        lstm = nn.LSTM(4, 6, proj_size=5, dtype=torch.float64)
        with torch.no_grad():
            for name, weight in zip(lstm._flat_weights_names, (ih, hh, bias, bias * 0, hr), strict=True):
                getattr(lstm, name).copy_(weight[d])
        torch.testing.assert_close(ours[d], lstm(x[d])[0])


def test_projected_lstm_is_the_cell_of_allennlp() -> None:
    light = pytest.importorskip("allennlp_light.modules.lstm_cell_with_projection")
    x, ih, hh, bias, hr = (t.detach().float() for t in tensors(1, 6, 3, 4, 6, 5))
    cell = light.LstmCellWithProjection(
        4, 5, 6, memory_cell_clip_value=CLIPS["cell_clip"], state_projection_clip_value=CLIPS["proj_clip"]
    )
    with torch.no_grad():
        cell.input_linearity.weight.copy_(ih[0])
        cell.state_linearity.weight.copy_(hh[0])
        cell.state_linearity.bias.copy_(bias[0])
        cell.state_projection.weight.copy_(hr[0])
        theirs, _ = cell(x[0].transpose(0, 1), [6, 6, 6])
    ours = projected_lstm(x, ih, hh, bias, hr, **CLIPS, precision=torch.float32)
    torch.testing.assert_close(ours[0].transpose(0, 1), theirs, atol=1e-6, rtol=1e-5)


def test_adaptive_softmax_gives_probabilities() -> None:
    torch.manual_seed(0)
    softmax = AdaptiveSoftmax(16, 50, [5, 20])
    vector = torch.randn(1, 16)
    nats = torch.stack([softmax(vector, torch.tensor([word])) for word in range(50)])
    torch.testing.assert_close((-nats).exp().sum(), torch.tensor(1.0))
    mixed = torch.tensor([3, 30, 7, 19, 49])
    torch.testing.assert_close(softmax(vector.expand(5, -1), mixed), nats[mixed].mean())
