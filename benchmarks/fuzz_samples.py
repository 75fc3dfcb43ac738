"""The well-formed files that ``benchmarks/fuzz.py`` damages: three documents in each format, and each corpus in small.

In: nothing. Out: a :class:`Sample` for each reader. Every document has words of its own, so that a document, a mention
or a relation that is lost can be told from the words that are missing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from featstore.documents import Document, Entity, Relation
from featstore.formats import ModelFacts, readable, writer_of
from featstore.formats.table import FORMATS

MODEL = ModelFacts("m", "ab", ("CPR:4",))
WORDS = ("Aspirinum", "blocking", "Coxtwo", "betazoid")  # each gets the document's number
# Formats of text without mentions: how a file begins, each of its documents (id, title, abstract), how it ends.
PLAIN = {
    "text": ("", "{1}\n{2}\n\n", ""),
    "csv": ("id,title,abstract\n", '{0},"{1}\nSo, ""it""",{2}\n', ""),
    "tsv": ("id\ttitle\tabstract\n", '{0}\t"{1}\n"\t{2}\n', ""),
    "medline": ("\n", "PMID- {0}\nTI  - {1}\nAB  - {2}\n      goes on.\n\n", ""),
    "pubmed-xml": (
        "<PubmedArticleSet>\n",
        "<PubmedArticle><MedlineCitation><PMID>{0}</PMID><Article><ArticleTitle>{1}</ArticleTitle><Abstract>"
        '<AbstractText Label="X">{2}</AbstractText></Abstract></Article></MedlineCitation></PubmedArticle>\n',
        "</PubmedArticleSet>",
    ),
    "jats": (
        "<pmc-articleset>\n",
        '<article><front><article-meta><article-id pub-id-type="pmc">{0}</article-id><title-group><article-title>{1}'
        "</article-title></title-group></article-meta></front><body><sec><title>X</title><p>{2}</p></sec></body>"
        "</article>\n",
        "</pmc-articleset>",
    ),
}
# Formats in which what stands where nothing is read (another field, another element) is passed over by design.
PASSED_OVER = {"medline", "pubmed-xml", "jats"}
_PARTS = {"train": "train", "dev": "dev", "test": "test"}  # of a corpus, in the names of its files


@dataclass(frozen=True, slots=True)
class Region:
    """The bytes of one document in a file, without the line end or the comma after them.

    Attributes:
        file: its name.
        start, end: the bytes, half-open.
        owner: the document: its id, or in a corpus what the ids of its instances hold.
    """

    file: str
    start: int
    end: int
    owner: str


@dataclass(frozen=True, slots=True)
class Sample:
    """What a reader reads.

    Attributes:
        name: ``document FORMAT`` or ``corpus NAME``.
        files: content by name.
        kept: how many bytes at the beginning of a file stay as they are: the header that names the columns.
        accounts: whether all words of the files must be read or told.
        regions: where each document stands, where they can be told apart.
    """

    name: str
    files: Mapping[str, bytes]
    kept: int = 0
    accounts: bool = True
    regions: tuple[Region, ...] = ()


def document(number: int) -> Document:
    """Return a document with two mentions, the second of which has a character of several bytes."""
    one, verb, two, rest = (f"{word}{number}" for word in WORDS)
    text = f"{one} study.\nIt is {verb} {two} (β) {rest}."
    at = text.index(two)
    entities = (
        Entity("T1", "CHEMICAL", 0, len(one), one, f"MESH:{number}"),
        Entity("T2", "GENE-Y", at, at + len(two) + 4, text[at : at + len(two) + 4]),
    )
    return Document(f"id{number}", text, entities)


def relation(of: Document) -> Relation:
    """Return a relation between the mentions of a document."""
    head, tail = of.entities
    return Relation(head, tail, "CPR:4", 0.5, {"CPR:4": 0.5}, (0, len(of.text)))


def documents() -> list[Sample]:
    """Return a sample for each format that is read."""
    samples = []
    for name in readable():
        files = _files(name)
        regions = tuple(_regions(files)) if name != "text" else ()  # which is one document
        samples.append(Sample(f"document {name}", files, _kept(name), name not in PASSED_OVER, regions))
    return samples


def _regions(files: Mapping[str, bytes]) -> Iterator[Region]:
    """Yield the lines that hold a word which only one document has."""
    for file, content in files.items():
        lines = content.split(b"\n")
        at = 0
        for line in lines:
            owners = [n for n in range(3) if any(w in line for w in (f"id{n}".encode(), f"{WORDS[0]}{n}".encode()))]
            if len(owners) == 1:
                yield Region(file, at, at + len(line), f"id{owners[0]}")
            at += len(line) + 1


def corpora() -> list[Sample]:
    """Return a sample for each kind of corpus reader."""
    pairs = "".join(
        f'{{"id": "p{n}", "text": "Aspirinum blocks Coxtwo.", "label": "{("NONE", "CPR:4")[n % 2]}", '
        f'"fold": {1 + n % 2}, '
        '"head": {"start": 0, "end": 9, "type": "CHEMICAL"}, "tail": {"start": 17, "end": 23, "type": "GENE"}}\n'
        for n in range(4)
    )
    gad = ["@GENE$ is linked to @DISEASE$.\t1", "No link of @DISEASE$ to @GENE$.\t0"]
    folds = {
        f"{fold}/{part}.tsv": (
            "".join(f"{row}\n" for row in gad[2 - fold : 3 - fold])
            if part == "train"
            else f"index\tsentence\tlabel\n0\t{gad[fold - 1]}\n"
        )
        for fold in (1, 2)
        for part in ("train", "test")
    }
    made = {
        "corpus jsonl": {"pairs.jsonl": pairs},
        "corpus gad": folds,
        "corpus documents": {
            f"{part}.pubtator": _pubtator(n, "CID") for n, part in enumerate(("train", "dev", "test"))
        },
        "corpus bc5cdr": {
            f"CDR_{part}Set.PubTator.txt": _pubtator(n, "CID")
            for n, part in enumerate(("Training", "Development", "Test"))
        },
        "corpus biored": {
            f"{part}.PubTator": _pubtator(n, "Association") for n, part in enumerate(("Train", "Dev", "Test"))
        },
        "corpus ddi": {f"{part}/DrugBank/{part}.xml": _listed(part, "drug") for part in ("Train", "Test")},
        "corpus euadr": folds,
        "corpus aimed": {"AImed.xml": "<corpus>\n" + "".join(_interaction(n) for n in range(3)) + "</corpus>\n"},
        "corpus chemprot": _release("chemprot", ("training", "development", "test")),
        "corpus drugprot": _release("drugprot", ("training", "development")),
    }
    samples = []
    for name, texts in made.items():
        files = {file: text.encode() for file, text in texts.items()}
        samples.append(Sample(name, files, accounts=False, regions=tuple(_owned(name, files))))
    return samples


def _owned(name: str, files: Mapping[str, bytes]) -> Iterator[Region]:
    """Yield the lines of a corpus that are of one document, or of one of its parts; the folds of GAD share theirs."""
    parts = _PARTS | ({"dev": "test"} if name == "corpus drugprot" else {})  # whose test part has no labels
    for file, content in files.items():
        is_fold = file[0].isdigit()
        part = "" if is_fold else next((of for word, of in parts.items() if word in file.lower()), "")
        at = 0
        for line in content.split(b"\n"):
            inner = re.search(rb'"id": "(p\d)"|<document id="(d\d)"', line)
            owner = (inner[1] or inner[2]).decode() if inner else part
            if owner and line:
                yield Region(file, at, at + len(line), owner)
            at += len(line) + 1


def _files(format_: str) -> dict[str, bytes]:
    found = [document(number) for number in range(3)]
    if format_ == "brat":
        files: dict[str, bytes] = {}
        for one in found:
            lines = [f"{e.id}\t{e.type} {e.start} {e.end}\t{e.text}\n" for e in one.entities]
            files |= {
                f"{one.id}.txt": one.text.encode(),
                f"{one.id}.ann": "".join([*lines, "R1\tX Arg1:T1 Arg2:T2\n"]).encode(),
            }
        return files
    if format_ == "chemprot":
        rows = [f"{d.id}\t{e.id}\t{e.type}\t{e.start}\t{e.end}\t{e.text}\n" for d in found for e in d.entities]
        abstracts = "".join(f"{d.id}\t" + d.text.replace("\n", "\t") + "\n" for d in found)
        return {"a_abstracts.tsv": abstracts.encode(), "a_entities.tsv": "".join(rows).encode()}
    if format_ in PLAIN:
        before, each, after = PLAIN[format_]
        body = "".join(each.format(d.id, *d.text.split("\n")) for d in found)
        return {f"file{FORMATS[format_].suffixes[0]}": (before + body + after).encode()}
    writer = writer_of(format_)
    body = writer.separator.join(writer.document(d, [relation(d)], MODEL) for d in found)
    return {f"file{FORMATS[format_].suffixes[0]}": (writer.header(MODEL) + body + writer.footer()).encode()}


def _kept(format_: str) -> int:
    return len(PLAIN[format_][0]) if format_ in ("csv", "tsv") else 0


def _pubtator(number: int, label: str) -> str:
    one, two = ("Chemical", "Disease") if label == "CID" else ("ChemicalEntity", "DiseaseOrPhenotypicFeature")
    novel = "" if label == "CID" else "\tNovel"
    return (
        f"{number}|t|Aspirin and ulcers.\n{number}|a|It is known.\n{number}\t0\t7\tAspirin\t{one}\tD1\n"
        f"{number}\t12\t18\tulcers\t{two}\tD2\n{number}\t{label}\tD1\tD2{novel}\n\n"
    )


def _interaction(number: int) -> str:
    entities = "".join(
        f'<entity id="d{number}.e{n}" charOffset="{at}" type="protein" text="{text}"/>'
        for n, (at, text) in enumerate((("0-3", "AKT1"), ("11-14", "TP53")))
    )
    pair = f'<pair id="d{number}.p0" e1="d{number}.e0" e2="d{number}.e1" interaction="True"/>'
    sentence = f'<sentence id="d{number}.s0" text="AKT1 binds TP53.">{entities}{pair}</sentence>'
    return f'<document id="d{number}">{sentence}</document>\n'


def _listed(id_: str, type_: str) -> str:
    entities = "".join(
        f'<entity id="e{n}" charOffset="{at}" type="{type_}" text="{text}"/>'
        for n, (at, text) in enumerate((("0-6", "Aspirin"), ("9-15", "heparin")))
    )
    pair = f'<pair id="{id_}.p0" e1="e0" e2="e1" ddi="true" type="effect"/>'
    sentence = f'<sentence id="{id_}.s0" text="Aspirin, heparin interact.">{entities}{pair}</sentence>'
    return f'<document id="{id_}">{sentence}</document>'


def _release(name: str, parts: tuple[str, ...]) -> dict[str, str]:
    files: dict[str, str] = {}
    for number, part in enumerate(parts):
        suffix = "_gs" if name == "chemprot" and part == "test" else ""
        start = f"{name}_{part}{suffix}/{name}_{part}_" if name == "chemprot" else f"{name}_{part}_"
        files[f"{start}abstracts{suffix}.tsv"] = f"{number}\tAspirin and COX-2.\tAspirin inhibits COX-2.\n"
        files[f"{start}entities{suffix}.tsv"] = (
            f"{number}\tT1\tCHEMICAL\t19\t26\tAspirin\n{number}\tT2\tGENE-Y\t36\t41\tCOX-2\n"
        )
        if name == "chemprot":
            files[f"{start}relations{suffix}.tsv"] = f"{number}\tCPR:4\tY \tINHIBITOR\tArg1:T1\tArg2:T2\n"
            files[f"{start}gold_standard.tsv"] = f"{number}\tCPR:4\tArg1:T1\tArg2:T2\n"
        else:
            files[f"{start}relations.tsv"] = f"{number}\tINHIBITOR\tArg1:T1\tArg2:T2\n"
    return files
