"""What the rest of the project knows of a format: what is read, what is written, and how a bad document is reported.

In: nothing; these are records and protocols. Out: the vocabulary of the formats and of whoever uses them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from featstore.documents import Document, Relation


@dataclass(frozen=True, slots=True)
class BadDocument:
    """A document that could not be read; those after it can.

    Attributes:
        id: the document's id; empty if even that could not be read.
        where: the file and, where there are lines, the line.
        why: what was found and what is wanted, as a sentence.
    """

    id: str
    where: str
    why: str


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """The model that relations come from.

    Attributes:
        name: what a reader of the output calls it.
        fingerprint: hex digest of what it is.
        positive: its labels that say that there is a relation.
        corpus: the name of the corpus that it was trained on, which says what its labels mean; empty if unknown.
    """

    name: str
    fingerprint: str
    positive: tuple[str, ...]
    corpus: str = ""


@dataclass(frozen=True, slots=True)
class Nothing:
    """Why a document has no relations.

    Attributes:
        reason: which of the known reasons, in a word or two, to count by.
        why: the same of this document, as a sentence.
    """

    reason: str
    why: str


@dataclass(frozen=True, slots=True)
class Reading:
    """How files shall be read, where their format leaves a choice.

    Attributes:
        lines: of plain text, each line is a document, not each file.
        text_column: of a table, the names of the columns that hold the text, in their order; none: those that are
            usually called so.
        id_column: of a table, the name of the column that holds the ids; None: one that is usually called so, or else
            the rows are numbered.
    """

    lines: bool = False
    text_column: tuple[str, ...] = ()
    id_column: str | None = None


AS_USUAL = Reading()


@dataclass(frozen=True, slots=True)
class Format:
    """A line of the table of formats.

    Attributes:
        module: where the format lives; it has what :class:`Reader` says as ``read`` if it is read, and what
            :class:`Writer` says if it is written.
        reads: whether it is read.
        writes: whether it is written.
        suffixes: of its files, in small letters.
        named: pattern of what the name of a file must hold for its format to be guessed.
        begins: pattern of how its files begin, after a byte order mark and blanks; empty: in any way.
        telling: pattern of a beginning that no other format has, which decides whatever the name; empty: none.
        roots: names of the outermost element, where it is XML.
        folder: patterns of the files in a folder of it.
        takes: the members of :class:`Reading` that its reader takes.
        collects: whether what is written has room for what a collection of documents says of itself.
        explains: whether what is written has room for the attention on each token.
        mentions: whether what is written has room for the mentions that are in no relation.
        mark: what a file has once for each document, to foretell how many there are; empty if there is no such thing,
            or if a file of a folder is one document.
        skips: what of its files is not read, as a sentence; empty if there is nothing to say.
    """

    module: str
    reads: bool = True
    writes: bool = True
    suffixes: tuple[str, ...] = ()
    named: str = ""
    begins: bytes = b""
    telling: bytes = b""
    roots: tuple[str, ...] = ()
    folder: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    collects: bool = False
    explains: bool = False
    mentions: bool = False
    mark: bytes = b""
    skips: str = ""


class Reader(Protocol):
    """What reading is: a path to its documents, one after the other, in constant memory.

    A reader whose format takes members of :class:`Reading` has them as keywords of the same names. A
    document that is not what the format says is yielded as a :class:`BadDocument` in its place.

    Raises:
        MissingFileError: there is nothing at the path.
        DataError: what is there is not of the format, or cannot be read on from here.
    """

    def __call__(self, path: Path, **taken: object) -> Iterator[Document | BadDocument]: ...


class Writer(Protocol):
    """What writing is: pure functions of strings.

    A file is ``header(model) + separator.join(document(d, relations of d, model) for each d) + footer()``, in UTF-8
    and with its line ends left as they are. It is the caller who holds the file, so that writing can be interrupted
    between two documents and go on.
    """

    separator: str

    def header(self, model: ModelFacts, collection: Mapping[str, object] | None = None) -> str:
        """Return what stands before the first document.

        Args:
            model: the model.
            collection: what the BioC collection of the input says of itself, if it is one
                (``Document.collection``); a format that has no place for it leaves it out.
        """
        ...

    def document(
        self, document: Document, relations: Sequence[Relation], model: ModelFacts, nothing: Nothing | None = None
    ) -> str:
        """Return one document with its relations, or with the reason why it has none.

        Raises:
            DataError: the format cannot hold this document; the text says why.
        """
        ...

    def footer(self) -> str:
        """Return what stands after the last document."""
        ...
