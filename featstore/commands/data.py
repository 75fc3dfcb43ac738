"""``cli data``: bring a corpus here and look at it."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from featstore.commands.console import (
    err,
    escape,
    out,
    print_facts,
    print_json,
    print_table,
    progress_bar,
    tell,
)
from featstore.commands.options import (
    CORPORA,
    AsJson,
    Commands,
    Instances,
)
from featstore.errors import check_choice
from featstore.files import check_input, check_output_folder

if TYPE_CHECKING:
    from featstore.corpora.audit import CorpusReport


def data_check(
    corpus: Annotated[
        str,
        typer.Argument(
            metavar="[CORPUS]",
            envvar="FEATSTORE_CORPUS",
            help=f"The corpus, as NAME or NAME:PATH. NAME is {CORPORA}.",
        ),
    ] = "sample",
    instances: Instances = None,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="CORPUS",
            help="Instead, show what the corpus shares with this one: documents by id, sentences by text.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Count a corpus, check its offsets, and look for test sentences in the training parts.

    Malformed places are reported on stderr and left out of the counts (exit code 3). A file that cannot be read at
    all ends the command (exit code 4).
    """
    if against is not None:
        _check_against(corpus, against, as_json)
        return
    from featstore.corpora.audit import check_corpus

    report = check_corpus(corpus, instances=instances, progress=tell)
    if as_json:
        print_json(report.to_json())
    else:
        _print_report(report)
    for problem in report.problems:
        err.print(escape(f"left out: {problem}"), soft_wrap=True)
    if report.problems:
        raise typer.Exit(3)


def _check_against(corpus: str, against: str, as_json: bool) -> None:
    from featstore.corpora.overlap import check_overlap

    found = check_overlap(corpus, against)
    if as_json:
        print_json(found.to_json())
        return
    print_table(
        f"{found.spec}: what of it is in {found.other}",
        ["part", "in part", "documents by id", "instances", "sentence exactly there", "exactly or nearly"],
        [
            [p.part, p.other, f"{len(p.documents):,}", f"{p.instances:,}", f"{p.exact:,}", f"{p.near:,}"]
            for p in found.parts
        ],
    )


def _print_report(report: CorpusReport) -> None:
    columns = [*report.labels, "total"]
    print_table(
        f"{report.spec}: instances",
        ["part", *columns],
        [[part, *(f"{counts[c]:,}" for c in columns)] for part, counts in report.counts.items()],
    )
    tokens = report.tokens
    facts = {
        "digest": report.digest[:16],
        "distinct sentences": f"{report.sentences:,}",
        "tokens in them": f"{tokens.total:,}",
        "tokens a sentence": f"mean {tokens.mean}, median {tokens.p50}, 99 % below {tokens.p99}, longest {tokens.max}",
        "tokens over 50 characters": f"{tokens.long:,} (longest {tokens.longest})",
        "tokeniser, splitter": f"{report.tokeniser}, {report.splitter}",
    }
    if report.mentions:
        facts["mentions that equal their characters"] = f"{report.agreeing:,} of {report.mentions:,}"
    facts |= {note: f"{count:,}" for note, count in report.notes.items() if not note.startswith("mentions")}
    print_facts("Facts", facts)
    if report.leakage:
        print_table(
            "Test instances whose sentence stands in the training part",
            ["fold", "train", "test", "exactly", "nearly (Jaccard >= 0.8)", "with other labels only"],
            [
                [str(k.fold), f"{k.train:,}", f"{k.test:,}", f"{k.exact:,}", f"{k.near:,}", f"{k.other_label:,}"]
                for k in report.leakage
            ],
        )


def _corpus(name: str) -> str:
    from featstore.corpora.published import OFFICIAL

    return check_choice("corpus", name, list(OFFICIAL))


def data_get(
    name: Annotated[str, typer.Argument(metavar="NAME", callback=_corpus, help="The corpus; the addresses are below.")],
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="Where to take it from: a folder, a zip or tar archive, or the http(s) address of an archive. By "
            "default it is the official source.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Fetch a corpus to your data directory, where --corpus NAME finds it; its files and checksums are verified.

    Official sources, each with its own terms:

    \b
    chemprot     biocreative.bioinformatics.udel.edu (BioCreative VI; registration)
    gad, euadr   the archive of the BioBERT project (github.com/dmis-lab/biobert): masked, in ten folds
    drugprot     zenodo.org/record/5119892 (CC BY 4.0)
    bc5cdr       biocreative.bioinformatics.udel.edu (BioCreative V)
    biored       ftp.ncbi.nlm.nih.gov/pub/lu/BioRED
    ddi          github.com/isegura/DDICorpus (CC BY-NC 4.0: no commercial use)
    aimed, bioinfer, hprd50, iepa, lll   mars.cs.utu.fi/PPICorpora

    GAD and EU-ADR with the surfaces of the mentions: name a folder or an archive with --from that holds the folds and
    the published table as well. GAD's is at github.com/EsmaeilNourani/Deep-GDAE (data/GAD_merged_samples_mesh.csv) or,
    as GAD_Y_N.csv and GAD_F.csv, among the corpora of BeFree; EU-ADR's is EUADR_target_disease.csv.
    """
    from featstore.corpora.get import get_corpus
    from featstore.corpora.home import corpus_home

    if source is not None and "://" not in source:
        check_input(Path(source))
    check_output_folder(corpus_home(name))
    logging.basicConfig(stream=sys.stderr, format="%(levelname)s: %(message)s", level=logging.WARNING)
    with progress_bar(name, "bytes") as progress:
        folder = get_corpus(name, source, progress=progress)
    if as_json:
        print_json({"corpus": name, "folder": folder})
    else:
        out.print(escape(str(folder)), soft_wrap=True)


COMMANDS: Commands = {"check": data_check, "get": data_get}
