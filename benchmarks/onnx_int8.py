"""Is onnxruntime's int8 LSTM worth a dependency? The recurrence of a full CSE direction, by it and by ours.

In: nothing; one LSTM of 2048 units on 100 inputs with random weights, 64 strings of 40 characters. Out: for
onnxruntime (float32, and int8 by its dynamic quantisation) and for our kernels at each precision: milliseconds a
character of all strings, GFLOP/s of the recurrent product, and the largest error against its float32. One thread.

    python benchmarks/onnx_int8.py    # wants onnx and onnxruntime, which featstore itself does not
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import quantize_dynamic

from featstore.encoders.beginnings import find_beginnings
from featstore.encoders.lanes import schedule
from featstore.encoders.options import PRECISIONS
from featstore.encoders.recurrent import lstm_layer, run

HIDDEN, INPUTS, STRINGS, LENGTH, TURNS = 2048, 100, 64, 40, 3
FLOPS = 2 * 4 * HIDDEN * HIDDEN * STRINGS * LENGTH


def by_onnx(weights: dict[str, torch.Tensor], folder: Path, quantised: bool) -> Callable[[np.ndarray], np.ndarray]:
    """Return onnxruntime's LSTM; its gates are i, o, f, c."""

    def gates(name: str) -> np.ndarray:
        i, f, g, o = weights[name].numpy().reshape(4, HIDDEN, -1)
        return np.concatenate([i, o, f, g])[None]

    bias = np.concatenate([gates("bias"), np.zeros((1, 4 * HIDDEN, 1), np.float32)], axis=1)[..., 0]
    constants = {"W": gates("ih"), "R": gates("hh"), "B": bias.astype(np.float32)}
    node = helper.make_node("LSTM", ["X", "W", "R", "B"], ["Y"], hidden_size=HIDDEN)
    graph = helper.make_graph(
        [node],
        "lstm",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, [LENGTH, STRINGS, INPUTS])],
        [helper.make_tensor_value_info("Y", TensorProto.FLOAT, [LENGTH, 1, STRINGS, HIDDEN])],
        [numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in constants.items()],
    )
    path = folder / "lstm.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8), path)
    if quantised:
        quantize_dynamic(path, folder / "int8.onnx")
        path = folder / "int8.onnx"
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda x: np.asarray(session.run(None, {"X": x})[0])[:, 0]


def by_us(weights: dict[str, torch.Tensor], precision: str) -> Callable[[np.ndarray], np.ndarray]:
    device = torch.device("cpu")
    layer = lstm_layer(
        weights["ih"],
        weights["hh"],
        weights["bias"][:, 0],
        device=device,
        precision=precision,
        input_precision="float32",
    )
    unlike = np.repeat(np.arange(STRINGS), LENGTH)
    plan = schedule(find_beginnings(unlike, np.full(STRINGS, LENGTH)), STRINGS)

    @torch.inference_mode()
    def encode(x: np.ndarray) -> np.ndarray:
        items = torch.from_numpy(x).transpose(0, 1).reshape(STRINGS * LENGTH, INPUTS)
        y = torch.empty(STRINGS * LENGTH, HIDDEN)
        for block, outputs in run([layer], plan, items.__getitem__, device):
            y[torch.from_numpy(plan.rows[block])] = outputs[-1]
        return y.view(STRINGS, LENGTH, HIDDEN).transpose(0, 1).numpy()

    return encode


def main() -> None:
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    shapes = {"ih": (4 * HIDDEN, INPUTS), "hh": (4 * HIDDEN, HIDDEN), "bias": (4 * HIDDEN, 1)}
    weights = {name: torch.randn(shape, generator=generator) / HIDDEN**0.5 for name, shape in shapes.items()}
    x = torch.randn(LENGTH, STRINGS, INPUTS, generator=generator).numpy()
    with tempfile.TemporaryDirectory() as folder:
        engines = {
            "onnxruntime float32": by_onnx(weights, Path(folder), quantised=False),
            "onnxruntime int8": by_onnx(weights, Path(folder), quantised=True),
        }
        engines |= {f"ours {precision}": by_us(weights, precision) for precision in PRECISIONS}
        outputs = {name: engine(x) for name, engine in engines.items()}
        times: dict[str, list[float]] = {name: [] for name in engines}
        for _ in range(TURNS):
            for name, engine in engines.items():
                start = time.perf_counter()
                engine(x)
                times[name].append(time.perf_counter() - start)
    for name, seconds in times.items():
        median = statistics.median(seconds)
        error = np.abs(outputs[name] - outputs["onnxruntime float32"]).max()
        print(f"{name:20} {1000 * median / LENGTH:7.2f} ms  {FLOPS / median / 1e9:6.0f} GFLOP/s  error {error:.1e}")


if __name__ == "__main__":
    main()
