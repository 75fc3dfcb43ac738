"""Where each corpus is published, and which files make it up.

In: the name of a corpus and a folder. Out: the address, and the corpus's files in the folder. ``cli data get`` takes
these files and no others.
"""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from featstore.corpora import befree_tables, chemprot, chemprot_files

# BioBERT's archive holds GAD and EU-ADR among others.
_BIOBERT = "http://nlp.dmis.korea.edu/projects/biobert-2020-checkpoints/datasets.tar.gz"
_PPI = "http://mars.cs.utu.fi/PPICorpora/{}-learning-format.xml.gz"
OFFICIAL = {
    "chemprot": "https://biocreative.bioinformatics.udel.edu/media/store/files/2017/ChemProt_Corpus.zip",
    "gad": _BIOBERT,
    "euadr": _BIOBERT,
    "drugprot": "https://zenodo.org/record/5119892/files/drugprot-training-development-test-background.zip",
    "bc5cdr": "https://biocreative.bioinformatics.udel.edu/media/store/files/2016/CDR_Data.zip",
    "biored": "https://ftp.ncbi.nlm.nih.gov/pub/lu/BioRED/BIORED.zip",
    "ddi": "https://github.com/isegura/DDICorpus/raw/master/DDICorpus-2013.zip",
    "aimed": _PPI.format("AImed"),
    "bioinfer": _PPI.format("BioInfer"),
    "hprd50": _PPI.format("HPRD50"),
    "iepa": _PPI.format("IEPA"),
    "lll": _PPI.format("LLL"),
}
_FOLDS = ("gad", "euadr")
# name -> patterns of the files of its release, in small letters; a path begins with a slash
_RELEASES: dict[str, tuple[str, ...]] = {
    "drugprot": ("*/drugprot_training_*.tsv", "*/drugprot_development_*.tsv"),
    "bc5cdr": ("*/cdr_*set.pubtator.txt", "*/cdr_*set.bioc.xml"),
    "biored": tuple(f"*/{part}.{form}" for part in ("train", "dev", "test") for form in ("pubtator", "bioc.*")),
    "ddi": ("*/train/*.xml", "*/test/*.xml"),
    **{name: (f"*{name}.xml", f"*{name}-*.xml.gz") for name in ("aimed", "bioinfer", "hprd50", "iepa", "lll")},
}


def is_release(name: str) -> bool:
    """Tell whether the files of a corpus may lie anywhere in a folder, and not in fixed places of one."""
    return name in _RELEASES


def corpus_files(name: str, folder: Path) -> list[str]:
    """Return the files that make up the corpus in ``folder``, by their paths below it; empty if it is not one."""
    if name in _RELEASES:
        names = (path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file())
        return [each for each in names if is_file_of(name, each)]
    if name in _FOLDS:
        folds = [fold for fold in folder.iterdir() if fold.name.isdecimal() and (fold / "test.tsv").exists()]
        wanted = [fold / file for fold in sorted(folds) for file in ("train.tsv", "test.tsv")]
        optional = list(befree_tables.published_tables(name, folder))
    else:
        wanted = [
            chemprot_files.file_of(folder, split, what)
            for split in chemprot_files.SPLITS
            for what in ("abstracts", "entities", "relations", "gold_standard")
        ]
        optional = [folder / chemprot.LIST_NAME]
    if not wanted or not all(path.is_file() for path in wanted):
        return []
    return [path.relative_to(folder).as_posix() for path in wanted + [p for p in optional if p.is_file()]]


def is_file_of(name: str, file: str) -> bool:
    """Tell whether a file, by its name or its path in a folder, is one of a corpus's release."""
    parts = file.lower().split("/")
    hidden = any(part.startswith((".", "__macosx")) for part in parts)
    return not hidden and any(fnmatchcase("/" + "/".join(parts), pattern) for pattern in _RELEASES.get(name, ()))


def tables_below(name: str, folder: Path) -> Iterator[Path]:
    """Yield the published tables of GAD or EU-ADR that lie anywhere in a folder."""
    if name in _FOLDS:
        for inside in (folder, *sorted(path for path in folder.rglob("*") if path.is_dir())):
            yield from befree_tables.published_tables(name, inside)
