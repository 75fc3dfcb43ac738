"""One trained toy for all tests that need a tagger."""

from pathlib import Path

import pytest
from toy_tagger import train_toy, write_corpus

from classifier.entities.checkpoint import TaggerCheckpoint


@pytest.fixture(scope="session")
def toy_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the corpora ``chemicals`` and ``others``, their store and a tagger that learnt both."""
    folder = tmp_path_factory.mktemp("tagger")
    corpora = [
        write_corpus(folder / "chemicals", ("CHEMICAL",), seed=1),
        write_corpus(folder / "others", ("GENE", "DISEASE"), seed=2),
    ]
    train_toy(folder / "model", corpora, folder / "features")
    return folder


@pytest.fixture(scope="session")
def toy_checkpoint(toy_folder: Path) -> TaggerCheckpoint:
    """Return the tagger in it."""
    from classifier.entities.checkpoint import load_tagger

    return load_tagger(toy_folder / "model")
