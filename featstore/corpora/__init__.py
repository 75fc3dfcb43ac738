"""Corpora: files in their official layouts to marked instances.

In: a spec ``NAME`` or ``NAME:PATH``, or a :class:`CorpusChoice`. Out: a :class:`~featstore.records.Corpus`. Each
reader lives in a file of its own that is imported when it is asked for; adding one is that file and a line in
``READERS``.
"""

from featstore.corpora.choice import CorpusChoice
from featstore.corpora.table import READERS, CorpusReader, load_corpus, read_corpus

__all__ = ["READERS", "CorpusChoice", "CorpusReader", "load_corpus", "read_corpus"]
