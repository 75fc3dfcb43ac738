"""Corpora with annotated mentions: documents in the formats that are read, and their released parts.

In: a spec ``NAME:PATH``. Out: a :class:`MentionCorpus`. A corpus annotates some types and not others (ChemProt no
diseases, BC5CDR no genes); which ones is part of what it is, because what it does not annotate is not a negative.

==========  =====================================================================================================
chemprot    the folder of the official release (BioCreative VI): chemicals and genes
bc5cdr      the folder with ``CDR_{Training,Development,Test}Set.PubTator.txt`` (BioCreative V): chemicals, diseases
biored      the official ``BIORED.zip``, or the folder that it unpacks to (Luo et al. 2022): all three
files       a folder with ``train.*``, ``test.*`` and, if there is one, ``dev.*``, each in any document format that is
            read; annotated are the types that occur in its training part
==========  =====================================================================================================
"""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from classifier.entities.types import TYPES, tagged_type
from featstore.bundled import bundled
from featstore.corpora.chemprot_files import read_release
from featstore.corpora.home import corpus_folder
from featstore.corpora.lines import files_digest
from featstore.documents import Document, Entity
from featstore.errors import DataError, MissingFileError, UsageError, did_you_mean
from featstore.formats import BadDocument, read_documents

SPLITS = ("train", "dev", "test")


@dataclass(frozen=True, slots=True)
class MentionCorpus:
    """Documents with mentions.

    Attributes:
        spec: what the user named, ``NAME:PATH``.
        name: the reader.
        documents: all documents; each knows its part, and its mentions have one of ``types``.
        types: the types that the corpus annotates, of those that can be tagged.
        digest: hash of the files that it was read from.
    """

    spec: str
    name: str
    documents: tuple[Document, ...]
    types: tuple[str, ...]
    digest: str

    def part(self, *splits: str) -> tuple[Document, ...]:
        """Return the documents of some parts, in the order of the corpus."""
        return tuple(document for document in self.documents if document.split in splits)


def load_mentions(spec: str) -> MentionCorpus:
    """Load the corpus that ``spec`` names; see the module's text.

    Raises:
        UsageError: an unknown name.
        MissingFileError, DataError: a file is not there, or not what its format says.
    """
    name, _, path = spec.partition(":")
    if name not in READERS:
        raise UsageError(
            f"the corpus of mentions '{name}' is unknown; choose from {', '.join(READERS)}, as NAME:PATH."
            f"{did_you_mean(name, list(READERS))}"
        )
    return replace(READERS[name](path or None), spec=spec, name=name)


def _corpus(documents: Sequence[Document], types: Sequence[str], files: Sequence[Path]) -> MentionCorpus:
    if not any(document.split == "train" for document in documents):
        raise DataError(f"{files[0].parent if files else 'the corpus'} holds no document for training.")
    return MentionCorpus("", "", tuple(map(_with_tagged_types, documents)), tuple(types), files_digest(files))


def _with_tagged_types(document: Document) -> Document:
    """Return a document with the mentions that can be tagged, each of them with the type that a tagger gives."""
    found = [(entity, tagged_type(entity.type)) for entity in document.entities]
    kept = tuple(replace(entity, type=type_) for entity, type_ in found if type_ is not None)
    return replace(document, entities=kept, bioc=None)


def _read_chemprot(path: str | None) -> MentionCorpus:
    release = read_release(corpus_folder("chemprot", path))
    return _corpus(tuple(release.documents.values()), ("CHEMICAL", "GENE"), release.paths)


def _read_sample(path: str | None) -> MentionCorpus:
    if path not in (None, "chemprot"):
        raise UsageError(f"the sample has no mentions in the layout '{path}'; name 'sample' or 'sample:chemprot'.")
    return _read_chemprot(str(bundled("sample/chemprot")))


def _read_bc5cdr(path: str | None) -> MentionCorpus:
    folder = corpus_folder("bc5cdr", path)
    names = {"train": "Training", "dev": "Development", "test": "Test"}
    files = {split: folder / f"CDR_{name}Set.PubTator.txt" for split, name in names.items()}
    documents = [each for split, file in files.items() for each in _documents(file, "pubtator", split)]
    return _corpus(documents, ("CHEMICAL", "DISEASE"), list(files.values()))


def _read_biored(path: str | None) -> MentionCorpus:
    place = Path(path) if path else corpus_folder("biored", None)
    if place.suffix != ".zip":
        return _read_biored_folder(place)
    if not place.is_file():
        raise MissingFileError(f"{place} does not exist; 'biored:FILE' wants BIORED.zip, or the folder in it.")
    with tempfile.TemporaryDirectory() as scratch:
        try:
            with zipfile.ZipFile(place) as archive:
                for name in archive.namelist():
                    if name.endswith(".PubTator"):
                        (Path(scratch) / Path(name).name).write_bytes(archive.read(name))
        except (zipfile.BadZipFile, OSError) as error:
            raise DataError(f"{place} cannot be unpacked ({error}); fetch it again.") from error
        return _read_biored_folder(Path(scratch))


def _read_biored_folder(folder: Path) -> MentionCorpus:
    files = {split: folder / f"{split.capitalize()}.PubTator" for split in SPLITS}
    documents = [each for split, file in files.items() for each in _documents(file, "pubtator", split)]
    return _corpus(documents, TYPES, list(files.values()))


def _read_files(path: str | None) -> MentionCorpus:
    if path is None:
        raise UsageError("'files' needs the folder of its documents; name it as files:FOLDER.")
    documents: list[Document] = []
    files = []
    for split in SPLITS:
        found = sorted(Path(path).glob(f"{split}.*"))
        if len(found) > 1:
            raise DataError(f"{path} holds {len(found)} files {split}.*; one is wanted.")
        if found:
            files.append(found[0])
            documents += _documents(found[0], None, split)
    if not files:
        raise MissingFileError(f"{path} holds no file train.*, dev.* or test.*.")
    occurring = {tagged_type(e.type) for d in documents if d.split == "train" for e in d.entities}
    types = tuple(type_ for type_ in TYPES if type_ in occurring)
    if not types:
        raise DataError(f"{path}: no mention of the training part is of a type that can be tagged: {', '.join(TYPES)}.")
    return _corpus(documents, types, files)


def _documents(path: Path, format_: str | None, split: str) -> Iterator[Document]:
    """Yield the documents of a file.

    Raises:
        DataError: one of them is not what the format says; a corpus is taken whole.
    """
    for found in read_documents(path, format_, strict=True):
        if isinstance(found, BadDocument):
            raise DataError(f"{found.where}: {found.why}")
        yield replace(found, split=split)


READERS: Mapping[str, Callable[[str | None], MentionCorpus]] = {
    "sample": _read_sample,
    "chemprot": _read_chemprot,
    "bc5cdr": _read_bc5cdr,
    "biored": _read_biored,
    "files": _read_files,
}


def mention_key(entity: Entity) -> tuple[int, int, str]:
    """Return what makes two mentions of a document the same: the characters and the type."""
    return entity.start, entity.end, entity.type
