"""BC5CDR (BioCreative V): chemicals that induce diseases.

In: the folder or zip archive of the release (``CDR_TrainingSet.PubTator.txt`` and the like; the BioC files where those
are not there). Out: an instance for each pair of a chemical and a disease mention in one sentence, the official split,
and the relations of each document between two MeSH concepts (CID), over which the official score runs.

A mention may have several concepts (``D006470|D003556``): it stands for each. One without a concept (``-1``) makes no
pair. Pairs whose disease is a mere hypernym of a related one are *not* filtered: MeSH's tree is no part of the corpus,
and the official evaluation does not ask for it. Published figures with that filter are higher.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from featstore.corpora.annotated import RelationTask, Source, corpus_of, with_split
from featstore.corpora.mark import Marking
from featstore.corpora.release import open_release, refuse_list
from featstore.documents import Problem
from featstore.records import Corpus

TASK = RelationTask(positive=("CID",), kinds=(("Chemical", "Disease"),), concepts=True, separators="|")
_SPLITS = {"train": "trainingset", "dev": "developmentset", "test": "testset"}


def read(path: str | None, marking: Marking, instances: Path | None) -> Corpus:
    """Read BC5CDR; what is wrong with single documents or relations is in the corpus's problems.

    Raises:
        UsageError: ``instances`` is given.
        MissingFileError: a file is not there.
        DataError: a file that is not of its format, or a document given twice.
    """
    refuse_list("bc5cdr", instances)
    release = open_release("bc5cdr", path)
    names = {
        split: release.one(f"cdr_{part}.pubtator.txt", f"cdr_{part}.pubtator", f"cdr_{part}.bioc.xml")
        for split, part in _SPLITS.items()
    }
    problems: list[Problem] = []

    def sources() -> Iterator[Source]:
        for split, name in names.items():
            format_ = "bioc-xml" if name.lower().endswith(".xml") else "pubtator"
            for document in with_split(release.documents(name, format_, problems), split):
                yield Source(document, release.place(name))

    return corpus_of("bc5cdr", sources(), TASK, marking, digest=release.digest(names.values()), problems=problems)
