"""CSE against flair's own FlairEmbeddings, on random weights of odd sizes and on exotic text."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from featstore.encoders import load_encoder
from featstore.encoders.charlm import CharLM, CharLMConfig
from featstore.encoders.charlm_file import load_charlm, save_charlm
from featstore.errors import DataError, MissingFileError, UsageError

SENTENCES = [
    ["Loss", "of", "BRCA1", "in", "α-synuclein", "mice", "."],
    ["x"],
    ["<gene>", "TNF-α", "</gene>", "naïve", "日本語", "🧬", "no\u00a0break"],
    ["a" * 120, "b"],
    ["A", "token with blanks", "end", "\n", "\t"],
    ["unknown", "ΩЖ", "only"],
]


def random_models(
    folder: Path, *, hidden: int, nlayers: int, nout: int | None, suffix: str, delimiter: str = "\n"
) -> None:
    for seed, direction in enumerate(("forward", "backward")):
        config = CharLMConfig(
            hidden_size=hidden,
            nlayers=nlayers,
            embedding_size=5,
            nout=nout,
            is_forward=direction == "forward",
            document_delimiter=delimiter,
            dropout=0.3,
            items=("<unk>", *"\n abcdefghijklmnopqrstuvwxyzABCDEFG.-<>/123αï日"),
        )
        generator = torch.Generator().manual_seed(seed)
        shapes = config.shapes() | config.decoder_shapes()
        lm = CharLM(config, {k: torch.randn(v, generator=generator) * 0.4 for k, v in shapes.items()})
        save_charlm(folder / (direction + suffix), lm)


def by_flair(folder: Path, sentences: Sequence[Sequence[str]], chunk: int = 512) -> list[np.ndarray]:
    from flair.data import Sentence
    from flair.embeddings import FlairEmbeddings

    marked = [Sentence(list(tokens)) for tokens in sentences]
    parts = []
    for direction in ("forward", "backward"):
        embeddings = FlairEmbeddings(str(folder / f"{direction}.pt"), chars_per_chunk=chunk)
        embeddings.embed(marked)
        parts.append([np.array([t.get_embedding([embeddings.name]).numpy() for t in s.tokens]) for s in marked])
    return [np.concatenate(pair, axis=1) for pair in zip(*parts, strict=True)]


@pytest.mark.parametrize("delimiter", ["\n", "<>"])
@pytest.mark.parametrize(("hidden", "nlayers", "nout"), [(16, 1, None), (7, 2, None), (33, 1, 5), (9, 2, 4)])
@pytest.mark.filterwarnings("ignore")
def test_equal_to_flair(tmp_path: Path, hidden: int, nlayers: int, nout: int | None, delimiter: str) -> None:
    random_models(tmp_path, hidden=hidden, nlayers=nlayers, nout=nout, suffix=".pt", delimiter=delimiter)
    encoder = load_encoder(f"cse:{tmp_path}")
    vectors = encoder.encode(SENTENCES)
    assert encoder.dim == vectors.dim == 2 * (nout or hidden)
    assert vectors.values.dtype == np.float32
    for ours, flairs in zip(vectors, by_flair(tmp_path, SENTENCES), strict=True):
        np.testing.assert_allclose(ours, flairs, rtol=0, atol=1e-5)


@pytest.mark.filterwarnings("ignore")
def test_flair_reads_what_we_write_and_we_what_flair_writes(tmp_path: Path) -> None:
    from flair.models import LanguageModel

    random_models(tmp_path, hidden=6, nlayers=1, nout=None, suffix=".pt")
    LanguageModel.load_language_model(tmp_path / "forward.pt").save(tmp_path / "again.pt")
    one, two = load_charlm(tmp_path / "forward.pt"), load_charlm(tmp_path / "again.pt")
    assert one.config == two.config
    assert all(torch.equal(one.weights[name], two.weights[name]) for name in one.weights)


@pytest.mark.filterwarnings("ignore")
def test_tokens_without_characters_are_as_if_absent(tmp_path: Path) -> None:
    """flair drops such tokens; we owe a row for each token, so theirs is zero."""
    random_models(tmp_path, hidden=6, nlayers=1, nout=None, suffix=".pt")
    vectors = load_encoder(f"cse:{tmp_path}").encode([["", "ab", "", "c", ""], [""], []])
    assert vectors.lengths.tolist() == [5, 1, 0]
    np.testing.assert_allclose(vectors[0][[1, 3]], by_flair(tmp_path, [["ab", "c"]])[0], rtol=0, atol=1e-5)
    assert not vectors[0][[0, 2, 4]].any()
    assert not vectors[1].any()


def test_a_model_in_the_other_direction_is_refused(tmp_path: Path) -> None:
    random_models(tmp_path, hidden=6, nlayers=1, nout=None, suffix=".safetensors")
    (tmp_path / "backward.safetensors").replace(tmp_path / "other")
    with pytest.raises(MissingFileError, match="holds no backward"):
        load_encoder(f"cse:{tmp_path}")
    (tmp_path / "forward.safetensors").replace(tmp_path / "backward.safetensors")
    (tmp_path / "other").replace(tmp_path / "forward.safetensors")
    with pytest.raises(DataError, match="exchange the two files"):
        load_encoder(f"cse:{tmp_path}")


def test_unknown_options_are_refused(tmp_path: Path) -> None:
    random_models(tmp_path, hidden=6, nlayers=1, nout=None, suffix=".safetensors")
    with pytest.raises(UsageError, match="precision 'float64' is unknown"):
        load_encoder(f"cse:{tmp_path}", precision="float64")
    with pytest.raises(UsageError, match="device 'abacus'"):
        load_encoder(f"cse:{tmp_path}", device="abacus")


def test_identity_follows_the_weights_and_the_precision(tmp_path: Path) -> None:
    random_models(tmp_path, hidden=6, nlayers=1, nout=None, suffix=".safetensors")
    one = load_encoder(f"cse:{tmp_path}").identity
    assert load_encoder(f"cse:{tmp_path}").identity == one
    assert load_encoder(f"cse:{tmp_path}", precision="bfloat16").identity != one
    random_models(tmp_path, hidden=7, nlayers=1, nout=None, suffix=".safetensors")
    assert load_encoder(f"cse:{tmp_path}").identity != one
