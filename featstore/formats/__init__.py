"""Formats: files of documents with entities to :class:`~featstore.documents.Document`, relations to files.

In: a path, and the name of a format, which is guessed if it is not given. Out: documents one after the other; or a
:class:`Writer`. Each format lives in a file of its own that is imported when it is asked for; adding one is that file
and a line in ``FORMATS``. Offsets are half-open and count characters (Unicode code points) of ``Document.text``.
"""

from featstore.formats.contract import BadDocument, Format, ModelFacts, Nothing, Reading, Writer
from featstore.formats.count import count_documents
from featstore.formats.table import FORMATS, read_documents, readable, writable, writer_of
from featstore.formats.unique import SeenDocuments

__all__ = [
    "FORMATS",
    "BadDocument",
    "Format",
    "ModelFacts",
    "Nothing",
    "Reading",
    "SeenDocuments",
    "Writer",
    "count_documents",
    "read_documents",
    "readable",
    "writable",
    "writer_of",
]
