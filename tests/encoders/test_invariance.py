"""A sentence's vectors depend on nothing but the sentence: not on its batch, nor on what was encoded before."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from featstore.encoders import Encoder, load_encoder, recurrent
from featstore.encoders.bilm import BiLM, BiLMConfig, save_elmo
from featstore.encoders.charlm import CharLM, CharLMConfig
from featstore.encoders.charlm_file import save_charlm
from featstore.encoders.cse import CSE
from featstore.encoders.kernels import linear
from featstore.errors import UsageError

HAS_INT8 = torch.cpu._is_vnni_supported() and torch.backends.mkldnn.is_available()
INT8 = pytest.mark.skipif(not HAS_INT8, reason="no VNNI")
PRECISIONS = ["float32", "bfloat16", pytest.param("int8", marks=INT8)]
TOKENS = ["a", "gene", "BRCA1", "β-catenin", "x" * 60, ",", "of", "<chem>", "phosphorylation", "日本", ""]


def weights(shapes: dict[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {k: torch.randn(v, generator=generator) / max(1.0, np.prod(v[1:]) ** 0.5) for k, v in shapes.items()}


def cse(folder: Path, hidden: int = 150, **changes: object) -> str:
    for direction in ("forward", "backward"):
        fields: dict[str, Any] = {
            "nlayers": 2,
            "embedding_size": 20,
            "nout": 30,
            "document_delimiter": "\n",
            "dropout": 0.0,
        }
        items = ("<unk>", *"\n abcdefghijklmnopqrstuvwxyz<>,1β")
        config = CharLMConfig(
            hidden_size=hidden, is_forward=direction == "forward", items=items, **{**fields, **changes}
        )
        save_charlm(folder / "cse" / f"{direction}.safetensors", CharLM(config, weights(config.shapes())))
    return f"cse:{folder / 'cse'}"


def elmo(folder: Path) -> str:
    config = BiLMConfig(
        char_dim=8,
        filters=((1, 16), (3, 40), (5, 64)),
        n_highway=1,
        activation="relu",
        max_characters=50,
        dim=270,
        projection_dim=33,
        n_layers=2,
        cell_clip=3.0,
        proj_clip=3.0,
        use_skip_connections=True,
    )
    save_elmo(folder / "elmo", BiLM(config, weights(config.shapes())))
    return f"elmo:{folder / 'elmo'}"


@pytest.fixture(scope="module")
def encoder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    make, precision = request.param
    return load_encoder(make(tmp_path_factory.mktemp("models")), precision=precision)


@pytest.mark.parametrize(
    "encoder",
    [pytest.param((make, p), id=f"{make.__name__}-{p}") for make in (cse, elmo) for p in ("float32", "bfloat16")]
    + [pytest.param((make, "int8"), id=f"{make.__name__}-int8", marks=INT8) for make in (cse, elmo)],
    indirect=True,
)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lengths=st.lists(st.integers(0, 12), min_size=1, max_size=9), seed=st.integers(0, 2**32))
def test_batch_mates_and_history_change_no_bit(encoder: Encoder, lengths: list[int], seed: int) -> None:
    choice = random.Random(seed)
    batch = [choice.choices(TOKENS, k=length) for length in lengths]
    together = encoder.encode(batch)
    order = choice.sample(range(len(batch)), len(batch))
    shuffled = encoder.encode([batch[i] for i in order])
    for place, i in enumerate(order):
        np.testing.assert_array_equal(shuffled[place], together[i])
        np.testing.assert_array_equal(encoder.encode([batch[i]])[0], together[i])


def test_how_many_words_the_shipped_elmo_meets_at_once_changes_no_bit() -> None:
    """Its real size matters here: the kernels of convolutions sum in another order where there are very few words."""
    words = tuple(f"inhib{n}s" for n in range(100, 140))
    whole = load_encoder("elmo").encode([words]).values
    one_by_one = load_encoder("elmo")
    for word in words:
        one_by_one.encode([(word,)])
    assert np.array_equal(one_by_one.encode([words]).values, whole)


@pytest.mark.parametrize("make", [cse, elmo])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_which_products_are_looked_up_changes_no_bit(
    tmp_path: Path, make: Callable[[Path], str], precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = load_encoder(make(tmp_path), precision=precision)
    batch = [TOKENS * 3, TOKENS[::-1], TOKENS[2:5], [f"{token}{n}" for n in range(9) for token in TOKENS]]
    whole = encoder.encode(batch).values
    for rows in (1, 4):
        monkeypatch.setattr(recurrent, "TABLE_ROWS", rows)
        np.testing.assert_array_equal(encoder.encode(batch).values, whole)


@pytest.mark.parametrize("make", [cse, elmo])
def test_the_number_of_threads_changes_no_bit(tmp_path: Path, make: Callable[[Path], str]) -> None:
    encoder = load_encoder(make(tmp_path))
    before, batch = torch.get_num_threads(), [TOKENS * 3, TOKENS[::-1], TOKENS[2:5]] * 5
    results = []
    for count in (1, 2):
        torch.set_num_threads(count)
        results.append(encoder.encode(batch).values)
    torch.set_num_threads(before)
    np.testing.assert_array_equal(results[0], results[1])


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(("inputs", "outputs"), [(5, 28), (100, 400), (513, 700), (2048, 64), (4096, 512)])
def test_a_row_of_a_product_does_not_depend_on_the_others(precision: str, inputs: int, outputs: int) -> None:
    generator = torch.Generator().manual_seed(inputs)
    weight = torch.randn(outputs, inputs, generator=generator) / inputs**0.5
    x, bias = torch.randn(130, inputs, generator=generator), torch.randn(outputs, generator=generator)
    product = linear(weight, bias, precision, torch.device("cpu"))
    whole = product(x)
    exact = x.double() @ weight.double().T + bias
    bound = {"float32": 1e-5, "bfloat16": 0.05, "int8": 0.2}[precision]
    torch.testing.assert_close(whole.double(), exact, rtol=0, atol=bound)
    for rows in (1, 2, 3, 4, 7, 16, 33, 64, 129):
        assert torch.equal(product(x[:rows]), whole[:rows]), rows


def test_zero_rows_and_weights_pass_int8_unharmed() -> None:
    if not HAS_INT8:
        pytest.skip("no VNNI")
    product = linear(torch.zeros(8, 16), None, "int8", torch.device("cpu"))
    assert not product(torch.ones(3, 16)).any()
    product = linear(torch.ones(8, 16), None, "int8", torch.device("cpu"))
    assert not product(torch.zeros(3, 16)).any()


def by_torch(model: CharLM, text: str) -> np.ndarray:
    """The states after each character by torch's own LSTM, in one piece; Shape: (characters, H)."""
    config, w = model.config, model.weights
    lstm = torch.nn.LSTM(config.embedding_size, config.hidden_size)
    lstm.load_state_dict({name.removeprefix("rnn."): t for name, t in w.items() if name.startswith("rnn.")})
    ids = torch.tensor([config.items.index(c) if c in config.items else 0 for c in text])
    with torch.inference_mode():
        return np.asarray(lstm(w["encoder.weight"][ids][:, None])[0][:, 0])


def peak_megabytes(run: Callable[[], object]) -> float:
    """Return by how much ``run`` raises the peak of this process's resident memory; Linux counts it."""

    def resident(name: str) -> float:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(float(line.split()[1]) / 1024 for line in lines if line.startswith(name))

    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = resident("VmRSS")
    run()
    return resident("VmHWM") - before


@pytest.mark.parametrize(
    ("tokens", "directions"),
    [
        pytest.param(["protein", "of"] * 4000, 2, id="a sentence of 44,000 characters"),
        pytest.param(["x", "y" * 150_000], 1, id="a word of 150,000 characters, forward alone as it takes long"),
    ],
)
def test_any_length_passes_exactly_in_bounded_memory(tmp_path: Path, tokens: list[str], directions: int) -> None:
    from featstore.encoders.charlm_file import load_charlm

    encoder = load_encoder(cse(tmp_path, hidden=3, nlayers=1, nout=None))
    assert isinstance(encoder, CSE)
    encoder.encode([["warm"]])
    del encoder._models[directions:]
    results: list[np.ndarray] = []
    if Path("/proc/self/clear_refs").exists():
        # The gates of 150,000 characters alone would be 75 MB.
        assert peak_megabytes(lambda: results.append(encoder.encode([tokens, ["short"], ["one", "more"]])[0])) < 60
    else:
        results.append(encoder.encode([tokens, ["short"], ["one", "more"]])[0])
    vectors = results[0]
    text = " ".join(tokens)
    forward = by_torch(load_charlm(tmp_path / "cse" / "forward.safetensors"), f"\n{text} ")
    ends = np.cumsum([len(t) + 1 for t in tokens])
    np.testing.assert_allclose(vectors[:, :3], forward[ends], rtol=0, atol=1e-5)
    if directions == 1:
        return
    backward = by_torch(load_charlm(tmp_path / "cse" / "backward.safetensors"), f"\n{text[::-1]} ")
    np.testing.assert_allclose(
        vectors[:, 3:], backward[len(text) + 1 - (ends - [len(t) + 1 for t in tokens])], rtol=0, atol=1e-5
    )


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA")
@pytest.mark.parametrize("make", [cse, elmo])
def test_cuda_gives_what_the_cpu_gives(tmp_path: Path, make: Callable[[Path], str]) -> None:
    spec = make(tmp_path)
    batch = [TOKENS, TOKENS[::-1][:4], ["one"]]
    expected = load_encoder(spec).encode(batch).values
    for precision, bound in (("float32", 1e-5), ("bfloat16", 0.05)):
        ours = load_encoder(spec, device="cuda", precision=precision).encode(batch).values
        np.testing.assert_allclose(ours, expected, rtol=0, atol=bound)


@pytest.mark.parametrize("given", ["Aspirin inhibits", ["Aspirin inhibits"]])
@pytest.mark.parametrize("name", ["glove", "cse", "elmo"])
def test_a_text_is_not_taken_for_tokens(name: str, given: Any) -> None:
    with pytest.raises(UsageError, match="lists of tokens"):
        load_encoder(name).encode(given)
