"""What a program or a notebook does with text and stores: encode a sentence, fill a store, read it by sentence.

In: texts or tokens, the names of corpora and encoders. Out: arrays, and stores on disk. These are thin functions over
those that the commands call, with the commands' defaults; ``import featstore`` offers them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from featstore.corpora.choice import CorpusChoice
from featstore.corpora.table import read_corpus
from featstore.corpora.text import tokens_of
from featstore.encoders import DEFAULT_OPTIONS, Encoder, EncoderOptions, check_specs, load_encoder
from featstore.errors import MissingFeatureError, MissingFileError, UsageError, did_you_mean
from featstore.featurize import Featurized, distinct_sentences, featurize
from featstore.progress import Progress
from featstore.records import Corpus, KeyedSentences, sentence_key
from featstore.stores import FeatureMeta, FeatureStore, FoundSet, list_sets, look_up

_SHOWN = 40  # characters of a sentence in a message


def encode(sentence: str | Sequence[str], encoder: Encoder | str = "glove") -> NDArray[np.float32]:
    """Return the vectors of one sentence.

    Args:
        sentence: a text, which is split into tokens but not into sentences, or tokens.
        encoder: the encoder, or its spec ``NAME`` or ``NAME:PATH``. Loading one takes a while, so hand over an encoder
            that is loaded if there are many sentences.

    Returns:
        One row for each token (:func:`featstore.corpora.text.tokens_of`). Shape: (T, D).

    Raises:
        UsageError: there is no encoder of that name.
        MissingFileError, DataError: its weights are not there, or not what they should be.
    """
    loaded = load_encoder(encoder) if isinstance(encoder, str) else encoder
    return loaded.encode([_tokens(sentence)])[0].astype(np.float32, copy=False)


def featurize_corpus(
    corpus: str | CorpusChoice | Corpus = "sample",
    encoders: Sequence[str] = ("glove", "cse", "elmo"),
    *,
    store: str | Path = "features",
    dtype: str = "float16",
    backend: str = "hdf5",
    workers: int | None = None,
    options: EncoderOptions = DEFAULT_OPTIONS,
    progress: Progress | None = None,
) -> list[Featurized]:
    """Encode the sentences of a corpus that a store does not hold yet, as ``cli featurize`` does.

    Args:
        corpus: its spec, a choice that says how it is marked as well, or a corpus that is loaded.
        encoders: their specs, ``NAME`` or ``NAME:PATH`` each.
        store: the store's folder, which is created.
        dtype: ``float16`` or ``float32``.
        backend: ``hdf5`` or ``zarr``.
        workers: number of processes; None: what a probe finds fastest.
        options: how the encoders compute.
        progress: called with (sentences done, sentences to do) after each batch of an encoder.

    Returns:
        What was done, one entry for each encoder. Its ``failed`` has the keys of the sentences that could not be
        encoded; calling again tries them again.

    Raises:
        UsageError: an unknown corpus, encoder, type or backend.
        MissingFileError, DataError: a file is not there, or not what its format says.
        ResourceError: there is no room for the vectors; what was committed before stays.
    """
    _check_list(encoders)
    check_specs(encoders, options)
    return featurize_sentences(
        distinct_sentences(_loaded(corpus)),
        encoders,
        store=store,
        dtype=dtype,
        backend=backend,
        workers=workers,
        options=options,
        progress=progress,
    )


def featurize_sentences(
    sentences: KeyedSentences,
    encoders: Sequence[str],
    *,
    store: str | Path = "features",
    dtype: str = "float16",
    backend: str = "hdf5",
    workers: int | None = None,
    options: EncoderOptions = DEFAULT_OPTIONS,
    progress: Progress | None = None,
) -> list[Featurized]:
    """Encode the sentences that a store does not hold yet.

    Args:
        sentences: the tokens of distinct sentences by their keys, as :func:`classifier.corpus_sentences` gives those of
            corpora of mentions.
        encoders, store, dtype, backend, workers, options, progress: see :func:`featurize_corpus`.

    Raises:
        UsageError, MissingFileError, DataError, ResourceError: as :func:`featurize_corpus`.
    """
    _check_list(encoders)
    check_specs(encoders, options)
    return [
        featurize(
            sentences,
            spec,
            root=store,
            dtype=dtype,
            backend=backend,
            workers=workers,
            progress=progress,
            options=options,
        )
        for spec in encoders
    ]


def _check_list(encoders: Sequence[str]) -> None:
    if isinstance(encoders, str):
        raise UsageError(f"encoders is the text '{encoders}'; give a list, such as ['glove', 'elmo'].")


class SentenceVectors:
    """A feature set that is read by sentence; a context manager that closes it.

    Args:
        store: the set, open.
    """

    def __init__(self, store: FeatureStore) -> None:
        self._store = store

    @property
    def meta(self) -> FeatureMeta:
        """What the set holds: its encoder, the number of columns and of layers, .."""
        return self._store.meta

    def __len__(self) -> int:
        """Return the number of distinct sentences."""
        return len(set(self._store.keys()))

    def __contains__(self, sentence: str | Sequence[str]) -> bool:
        return not self._store.missing([sentence_key(_tokens(sentence))])

    def __getitem__(self, sentence: str | Sequence[str]) -> NDArray[np.floating]:
        """Return the vectors of one sentence; see :meth:`read`."""
        return next(self.read([sentence]))

    def read(self, sentences: Sequence[str | Sequence[str]]) -> Iterator[NDArray[np.floating]]:
        """Yield the vectors of sentences, in the order given.

        Args:
            sentences: of each its text, which is split into tokens but not into sentences, or its tokens as the encoder
                saw them (``instance.tokens``).

        Returns:
            For each sentence one row a token, as they are stored. Shape: (T, D).

        Raises:
            UsageError: a text in place of a list of sentences.
            MissingFeatureError: a sentence is not stored; the text names it.
            DamagedStoreError: what is stored is not what was written.
        """
        if isinstance(sentences, str):
            raise UsageError(f"'{_shown([sentences])}' is one text; give a list of sentences, or use [..] for one.")
        tokens = [_tokens(sentence) for sentence in sentences]
        keys = [sentence_key(each) for each in tokens]
        if missing := set(self._store.missing(keys)):
            first = next(each for each, key in zip(tokens, keys, strict=True) if key in missing)
            raise MissingFeatureError(
                f"the sentence '{_shown(first)}' ({len(first)} tokens) has no vectors of '{self.meta.name}' in the "
                "store. A sentence is found by its tokens as the encoder saw them; in the tagged context the tags are "
                "among them (instance.tokens). featurize_corpus stores those of a corpus."
            )
        yield from self._store.read(keys)

    def close(self) -> None:
        """Close the set."""
        self._store.close()

    def __enter__(self) -> SentenceVectors:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_vectors(store: str | Path = "features", name: str = "glove") -> SentenceVectors:
    """Open a feature set of a store, to read it by sentence.

    Args:
        store: the store.
        name: the encoder's name, or ``NAME@ID`` with the first digits of its identity. Where one encoder is stored
            several times, the set with more precise numbers and then the larger one is opened.

    Raises:
        MissingFileError: the store holds no such set; the text says what it holds.
        UsageError: sets of several encoders have that name; the text lists them.
        DamagedStoreError: the set is not what was written.
    """
    found = look_up(store, name)
    if not found:
        names = sorted({each.meta.name for each in list_sets(store)})
        holds = f"it holds {', '.join(names)}" if names else "it is empty or does not exist"
        raise MissingFileError(f"{store} has no feature set '{name}'; {holds}.{did_you_mean(name, names)}")
    if len({each.info.meta.identity for each in found}) > 1:
        listed = ", ".join(f"{each.info.meta.name}@{each.info.meta.identity[:8]}" for each in found)
        raise UsageError(f"{store} has sets of several encoders named '{name}'; open one of {listed}.")
    return SentenceVectors(max(found, key=_rank).open())


def _rank(found: FoundSet) -> tuple[bool, int, str]:
    return found.info.meta.dtype == "float32", found.info.sentences, found.info.path


def _loaded(corpus: str | CorpusChoice | Corpus) -> Corpus:
    if isinstance(corpus, Corpus):
        return corpus
    return read_corpus(CorpusChoice(corpus) if isinstance(corpus, str) else corpus)


def _tokens(sentence: str | Sequence[str]) -> tuple[str, ...]:
    return tokens_of(sentence) if isinstance(sentence, str) else tuple(sentence)


def _shown(tokens: Sequence[str]) -> str:
    text = " ".join(tokens)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]} .."
