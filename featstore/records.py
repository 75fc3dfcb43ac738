"""The records of what is learned from: sentences by their key, instances, and a corpus of them.

They are plain frozen data: the vocabulary that corpora (which make them), featurize (which reads their tokens) and the
classifier (which reads tokens, spans and labels) share, so that none needs to know another.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, overload

from featstore.documents import Problem
from featstore.errors import UsageError
from featstore.frame import dataframe
from featstore.gold import GoldStandard

if TYPE_CHECKING:
    from pandas import DataFrame

KEY_BYTES = 16
KeyedSentences = Mapping[bytes, Sequence[str]]  # the tokens of distinct sentences, by their sentence_key


def sentence_key(tokens: Sequence[str]) -> bytes:
    """Return the key of a sentence: the 128-bit BLAKE2b of its canonical token sequence.

    Each token enters as its UTF-8 length (8 bytes, little endian) and its UTF-8 bytes, so that
    ``["ab", "c"]`` and ``["a", "bc"]`` differ. Same tokens, same key, whichever corpus or fold.
    """
    spelled = [token.encode("utf-8") for token in tokens]
    canonical = b"".join([len(raw).to_bytes(8, "little") + raw for raw in spelled])
    return hashlib.blake2b(canonical, digest_size=KEY_BYTES).digest()


# A sentence is met again and again: by every room, by a tagger and a relation head, and in each of its pairs.
known_key = lru_cache(maxsize=4096)(sentence_key)


@dataclass(frozen=True, slots=True)
class Instance:
    """One candidate pair in one sentence, as the encoder and the head will see it.

    The encoders see ``tokens``. The head sees the sequence ``layout``: an entry ``i >= 0`` is row ``i`` of
    the vectors of ``tokens``; an entry ``-1 - j`` is the learned vector of ``tags[j]``. In the ``tagged``
    context the tags stand in ``tokens`` and ``layout`` is ``0 .. len(tokens)-1``.

    Attributes:
        id: unique in its corpus and stable from run to run.
        tokens: what the encoders encode; its :func:`sentence_key` is the key in every store.
        layout: the head's sequence, see above.
        tags: the names of the learned vectors that ``layout`` refers to (empty in the tagged context).
        head: half-open token span of the first entity of the relation, in positions of ``layout``, without its tags.
        tail: the same for the second entity.
        head_type: type of the first entity (``gene``, ``chem``, ``dise``, ..), as the tags spell it.
        tail_type: type of the second entity.
        label: the gold label, or None for text to be classified.
        split: ``train``, ``dev`` or ``test`` where the corpus fixes it.
        fold: the fold whose test part holds the instance, counted from 1, where the corpus has folds.
        group: instances with the same group hold the same sentence and must stay on one side of a dev split.
        offsets: character span of each token of ``tokens`` in the document; ``(-1, -1)`` for an inserted tag.
        source: the corpus's own ids, e.g. ``{"pmid": "1977506", "head": "T2", "tail": "T20"}``.
    """

    id: str
    tokens: tuple[str, ...]
    layout: tuple[int, ...]
    tags: tuple[str, ...]
    head: tuple[int, int]
    tail: tuple[int, int]
    head_type: str
    tail_type: str
    label: str | None
    split: str | None = None
    fold: int | None = None
    group: str = ""
    offsets: tuple[tuple[int, int], ...] = ()
    source: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> bytes:
        """The sentence key of ``tokens``."""
        return known_key(self.tokens)

    @property
    def sentence(self) -> str:
        """What all pairs of one sentence have in common: the group, or the key of the text that the encoders see."""
        return self.group or self.key.hex()

    def mention(self, span: tuple[int, int]) -> tuple[str, ...]:
        """Return the tokens of a mention, of ``head`` or of ``tail``, without the tags of one that lies in it."""
        rows = [i for i in self.layout[slice(*span)] if i >= 0]
        return tuple(self.tokens[i] for i in rows if not self.offsets or self.offsets[i] != (-1, -1))

    @property
    def words(self) -> list[str]:
        """The words of ``layout``, the tags among them, whatever the context."""
        return [self.word(entry) for entry in self.layout]

    @property
    def begins(self) -> tuple[int, int]:
        """The steps of ``layout`` at which head and tail begin.

        A mention begins with its opening tag, or with its first token where it has no tag.
        """
        return self._begin(self.head, self.head_type), self._begin(self.tail, self.tail_type)

    def word(self, entry: int) -> str:
        """Return the word that an entry of ``layout`` stands for, which may be a tag."""
        return self.tokens[entry] if entry >= 0 else self.tags[-1 - entry]

    def _begin(self, span: tuple[int, int], kind: str) -> int:
        """Return the step of a mention's opening tag; between it and the mention there are other tags at most."""
        for place in range(span[0] - 1, -1, -1):
            word = self.word(self.layout[place])
            if word == f"<{kind}>":
                return place
            if not (word.startswith("<") and word.endswith(">")):
                break
        return span[0]


@dataclass(frozen=True, slots=True)
class Partition:
    """Positions in ``Corpus.instances`` of the parts of one fold; ``dev`` is empty where the corpus has none."""

    train: tuple[int, ...]
    dev: tuple[int, ...]
    test: tuple[int, ...]


def _row(instance: Instance) -> dict[str, object]:
    """Return an instance as a row of :meth:`Corpus.to_dataframe`."""
    return {
        "id": instance.id,
        "label": instance.label,
        "split": instance.split,
        "fold": instance.fold,
        "head_type": instance.head_type,
        "tail_type": instance.tail_type,
        "head": " ".join(instance.mention(instance.head)),
        "tail": " ".join(instance.mention(instance.tail)),
        "tokens": instance.tokens,
        "source": dict(instance.source),
    }


@dataclass(frozen=True, slots=True)
class Corpus:
    """A corpus, marked with one choice of indicators and context: a sequence of its instances, with what else it is.

    Attributes:
        spec: what the user named, ``NAME`` or ``NAME:PATH``.
        name: the reader (``chemprot``, ``gad``, ..).
        instances: all instances.
        labels: all labels, the negative one first.
        positive: the labels that the corpus's official score counts.
        indicators: ``tags``, ``replace`` or ``blind``.
        context: ``tagged`` or ``sentence``.
        digest: hash of the files that it was read from.
        notes: what the reader counted and the user should know (pairs across sentences, glued boundaries, ..).
        problems: the places that were left out because they are not what the format says.
        gold: what the official score counts, where that is more than the labels of the instances.
        documents: id of a document -> the part that it is in, also of those that have no pair; empty where the
            corpus does not say which document a sentence is of.
    """

    spec: str
    name: str
    instances: tuple[Instance, ...]
    labels: tuple[str, ...]
    positive: tuple[str, ...]
    indicators: str
    context: str
    digest: str
    notes: Mapping[str, int] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    gold: GoldStandard | None = None
    documents: Mapping[str, str | None] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.instances)

    def __bool__(self) -> bool:
        """Return True: a corpus is one, even where it has no instance."""
        return True

    def __iter__(self) -> Iterator[Instance]:
        return iter(self.instances)

    @overload
    def __getitem__(self, index: int) -> Instance: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Instance, ...]: ...

    def __getitem__(self, index: int | slice) -> Instance | tuple[Instance, ...]:
        return self.instances[index]

    def to_dataframe(self) -> DataFrame:
        """Return a table with a line for each instance, in their order.

        Its columns are ``id``, ``label``, ``split``, ``fold``, ``head_type`` and ``tail_type``, ``head`` and ``tail``
        (the mentions, their tokens joined by blanks), ``tokens`` and ``source``.

        Raises:
            UsageError: pandas is not installed.
        """
        return dataframe(map(_row, self.instances))

    @property
    def folds(self) -> tuple[int, ...]:
        """The folds that :meth:`partition` takes: those of the corpus, or ``(1,)`` for one released split."""
        return tuple(sorted({i.fold for i in self.instances if i.fold is not None})) or (1,)

    def partition(self, fold: int) -> Partition:
        """Return the parts of one fold.

        With folds, the test part holds the instances of that fold and the train part all others. With
        splits, the parts are the released ones and the only fold is 1.

        Raises:
            UsageError: the corpus has no such fold.
        """
        if fold not in self.folds:
            raise UsageError(
                f"fold {fold} of {self.spec} does not exist; it has fold"
                f"{'s' if len(self.folds) > 1 else ''} {', '.join(map(str, self.folds))}."
            )
        parts: dict[str, list[int]] = {"train": [], "dev": [], "test": []}
        for position, instance in enumerate(self.instances):
            if instance.fold is not None:
                parts["test" if instance.fold == fold else "train"].append(position)
            elif instance.split is not None:
                parts[instance.split].append(position)
        return Partition(tuple(parts["train"]), tuple(parts["dev"]), tuple(parts["test"]))
