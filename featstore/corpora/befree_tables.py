"""The tables of GAD and EU-ADR as they were published: which files they are, and what a row of them says.

In: a folder, or a CSV or TSV table. Out: its rows, each with the mentions checked against the sentence. How the rows
become a corpus is in :mod:`featstore.corpora.befree`.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from featstore.corpora.folds import DISEASE, GENE
from featstore.corpora.lines import Row, line_error
from featstore.corpora.text import Span
from featstore.documents import Problem
from featstore.errors import DataError, MissingFileError, count_of
from featstore.formats.folders import visible

# A published kind of association -> the label of BioBERT's release.
_KINDS = {"Y": "1", "N": "1", "P": "1", "F": "0", "PA": "1", "SA": "1", "NA": "1", "FA": "0"}
_DATE = re.compile(r"\d{1,4}[/.-]\d{1,2}([/.-]\d{1,4})?|\d{1,2}-[A-Z][a-z]{2}|[A-Z][a-z]{2}-\d{2}")
_MONTH = re.compile(r"(jan|feb|mar|march|apr|may|jun|jul|aug|sep|sept|oct|nov|dec)[ -]?\d{1,2}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Layout:
    """The names of the columns that are needed; an offset is one column ``START#END`` or two."""

    kind: str
    sentence: str
    gene: str
    gene_span: tuple[str, ...]
    disease: str
    disease_span: tuple[str, ...]

    @property
    def columns(self) -> set[str]:
        return {self.kind, self.sentence, self.gene, self.disease, *self.gene_span, *self.disease_span}


_LAYOUTS: dict[str, tuple[_Layout, ...]] = {
    "gad": (
        # GAD_Y_N.csv and GAD_F.csv of BeFree; and the two of them in one table, with a MeSH id added.
        _Layout(
            "GAD_ASSOC",
            "GAD_CONCLUSION",
            "NER_GENE_ENTITY",
            ("NER_GENE_OFFSET",),
            "NER_DISEASE_ENTITY",
            ("NER_DISEASE_OFFSET",),
        ),
        _Layout(
            "associationType",
            "raw_sentence",
            "gene_mention",
            ("GENE_ENTITY_OFFSET",),
            "disease_mention",
            ("DISEASE_ENTITY_OFFSET",),
        ),
    ),
    "euadr": (
        _Layout(
            "ASSOCIATION_TYPE",
            "SENTENCE",
            "ENTITY1_TEXT",
            ("ENTITY1_INI", "ENTITY1_END"),
            "ENTITY2_TEXT",
            ("ENTITY2_INI", "ENTITY2_END"),
        ),
    ),
}
# EU-ADR comes in three tables of one form; the one of targets and diseases is BioBERT's.
_SECOND_TYPE, _DISEASES = "ENTITY2_TYPE", "Diseases & Disorders"


@dataclass(frozen=True, slots=True)
class PublishedRow:
    """A row of a published table."""

    sentence: str
    gene: Span
    disease: Span
    label: str

    @property
    def masked(self) -> str:
        """The sentence as BioBERT's release has it."""
        text = self.sentence
        for (start, end), word in sorted(((self.gene, GENE), (self.disease, DISEASE)), reverse=True):
            text = text[:start] + word + text[end:]
        return text


def published_tables(name: str, folder: Path) -> tuple[Path, ...]:
    """Return the tables in a folder that are those of the corpus as published, by their header; empty if none is."""
    return tuple(path for path in visible(folder, ["*.csv"]) if path.is_file() and _is_published(name, path))


def read_tables(
    name: str, tables: Sequence[Path], notes: dict[str, int], problems: list[Problem]
) -> list[tuple[Row, PublishedRow]]:
    """Return the rows of the tables; a malformed row is reported as a problem.

    Args:
        name: ``gad`` or ``euadr``.
        tables: what :func:`published_tables` found.
        notes: the counts of rows and of mentions, to which those of these tables are added.
        problems: what is wrong so far; what is wrong with rows is added.

    Raises:
        MissingFileError, DataError: a table that cannot be read, or is torn.
    """
    found: list[tuple[Row, PublishedRow]] = []
    for table in tables:
        for row, values, layout in _table(name, table):
            notes["published rows"] += 1
            try:
                found.append((row, _published(row, values, layout, notes)))
            except DataError as error:
                problems.append(Problem.of(error))
    return found


def _is_published(name: str, path: Path) -> bool:
    found = _header(_decoded(path))
    if name == "euadr":
        rows = csv.DictReader(io.StringIO(_decoded(path)), delimiter="\t")
        first = next(rows, {})
        return _LAYOUTS[name][0].columns <= set(found) and first.get(_SECOND_TYPE) == _DISEASES
    return any(layout.columns <= set(found) for layout in _LAYOUTS[name])


def _header(text: str) -> list[str]:
    line = text.partition("\n")[0].rstrip("\r")
    return next(csv.reader([line], delimiter=_delimiter(line)), [])


def _delimiter(line: str) -> str:
    return "\t" if "\t" in line else ","


def _decoded(path: Path) -> str:
    """Return a table as text: UTF-8, or else Windows-1252, in which EU-ADR was published.

    Raises:
        MissingFileError: there is no such file.
        DataError: it cannot be read, or is neither.
    """
    try:
        raw = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    except FileNotFoundError as error:
        raise MissingFileError(f"{path} does not exist.") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error
    for encoding in ("utf-8", "cp1252"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise DataError(f"{path} is neither UTF-8 nor Windows-1252; save it as UTF-8.")


def _table(name: str, path: Path) -> Iterator[tuple[Row, Mapping[str, str], _Layout]]:
    """Yield the rows of a table: as a row with its line, and by the names of the columns.

    Raises:
        DataError: the table is malformed: a quote that is never closed, a row with another number of columns.
    """
    text = _decoded(path)
    header = _header(text)
    layout = next(each for each in _LAYOUTS[name] if each.columns <= set(header))
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text.partition("\n")[0]), strict=True)
    line = 1
    try:
        for number, fields in enumerate(rows):
            if number and len(fields) != len(header):
                raise line_error(
                    path, line, f"{count_of(len(fields), 'column')}; {len(header)} are wanted, as in the header."
                )
            if number:
                yield Row(path, line, tuple(fields)), dict(zip(header, fields, strict=True)), layout
            line = rows.line_num + 1
    except csv.Error as error:
        raise line_error(path, line, f"the table is malformed here: {error}.") from error


def _published(row: Row, values: Mapping[str, str], layout: _Layout, notes: dict[str, int]) -> PublishedRow:
    """Return a row with its mentions checked against the sentence; count them.

    Raises:
        DataError: an unknown kind of association, a malformed offset, a mention that is not its characters, or
            two mentions that overlap.
    """
    kind, sentence = values[layout.kind], values[layout.sentence]
    if kind not in _KINDS:
        raise row.error(f"the kind of association is '{kind}'; {', '.join(_KINDS)} are allowed.")
    spans = []
    for what, column, offsets in (
        ("gene", layout.gene, layout.gene_span),
        ("disease", layout.disease, layout.disease_span),
    ):
        given, span = values[column], _span(row, what, [values[name] for name in offsets], sentence)
        notes["mentions"] += 1
        found = sentence[slice(*span)]
        if found == given:
            notes["mentions agreeing"] += 1
        elif _DATE.fullmatch(given) and _MONTH.fullmatch(found):
            notes["dates that were gene names"] += 1
        else:
            raise row.error(
                f"the {what} is '{given}', but the sentence has '{found}' at {span[0]}-{span[1]}; a mention must be "
                "the characters at its offsets."
            )
        spans.append(span)
    gene, disease = spans
    if gene[0] < disease[1] and disease[0] < gene[1]:
        raise row.error(f"the gene at {gene[0]}-{gene[1]} and the disease at {disease[0]}-{disease[1]} overlap.")
    return PublishedRow(sentence, gene, disease, _KINDS[kind])


def _span(row: Row, what: str, given: list[str], sentence: str) -> Span:
    """Return the offsets of ``START#END``, or of two columns."""
    parts = given[0].split("#") if len(given) == 1 else given
    if len(parts) != 2 or not all(part.isascii() and part.isdigit() for part in parts):
        raise row.error(f"the offsets of the {what} are '{' '.join(given)}'; two numbers, START and END, are wanted.")
    start, end = map(int, parts)
    if not start < end <= len(sentence):
        raise row.error(
            f"the {what} is at {start}-{end}, outside the sentence of {count_of(len(sentence), 'character')}, or empty."
        )
    return start, end
