"""The grid of an ablation: which heads and other systems are trained and evaluated.

In: feature combinations, other systems, folds, seeds, indicators, contexts, heads and training options. Out: a
:class:`Cell` for each combination: one configuration and one fold. Its folder is the one that ``cli train`` would use.
A :class:`GridRow` is what a report compares: cells that differ in fold and seed alone.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, product
from pathlib import Path

from classifier.data.features import parse_features
from classifier.runs.config import RunConfig
from classifier.runs.results import FoldResult, is_complete
from classifier.systems.choice import choose, run_name
from classifier.systems.table import SYSTEMS
from classifier.systems.words import SystemWord
from classifier.training.config import DEFAULT_HEAD, recipe
from featstore.corpora import CorpusChoice, load_corpus
from featstore.corpora.mark import Marking
from featstore.errors import UsageError
from featstore.stores import list_sets
from featstore.stores.maintenance.views import VIEW


@dataclass(frozen=True, slots=True, order=True)
class GridRow:
    """A row of a report: cells that differ in fold and seed alone.

    Attributes:
        features: of a head, as ``--features`` spells them; the label of another system.
        indicators: ``tags``, ``replace`` or ``blind``.
        context: ``tagged`` or ``sentence``.
        head: the head's name, or that of another system.
    """

    features: str
    indicators: str
    context: str
    head: str

    @classmethod
    def of(cls, config: RunConfig) -> GridRow:
        return cls(config.label, config.corpus.indicators, config.corpus.context, config.recipe)

    @property
    def is_head(self) -> bool:
        """Whether it is of a head and not of another system."""
        return self.head not in SYSTEMS


@dataclass(frozen=True, slots=True)
class Cell:
    """One point of the grid.

    Attributes:
        config: configuration of the run.
        fold: the fold.
    """

    config: RunConfig
    fold: int

    @property
    def row(self) -> GridRow:
        return GridRow.of(self.config)

    def run_dir(self, runs: Path) -> Path:
        """The run's folder below ``runs``, where ``cli train`` would put it."""
        return runs / run_name(self.config)

    def folder(self, runs: Path) -> Path:
        """The fold's folder below ``runs``."""
        return self.run_dir(runs) / f"fold-{self.fold}"

    def is_complete(self, runs: Path) -> bool:
        return is_complete(self.folder(runs))


@dataclass(frozen=True, slots=True)
class Grid:
    """All combinations of some choices.

    Attributes:
        features: combinations, as ``--features`` spells them.
        folds, seeds, indicators, contexts: the choices.
        heads: the recipes of the heads.
        corpus: the corpus's spec.
        instances: the file that lists its instances; None leaves the choice to the corpus.
        options: training options that replace those of the recipe (:func:`classifier.training.config.recipe`).
        systems: other systems than heads, each with its own options.
    """

    features: tuple[str, ...]
    folds: tuple[int, ...] = (1,)
    seeds: tuple[int, ...] = (1,)
    indicators: tuple[str, ...] = ("tags",)
    contexts: tuple[str, ...] = ("tagged",)
    heads: tuple[str, ...] = (DEFAULT_HEAD,)
    corpus: str = "sample"
    instances: Path | None = None
    options: Mapping[str, object] = field(default_factory=dict)
    systems: tuple[SystemWord, ...] = ()

    def __post_init__(self) -> None:
        for name in ("features", "folds", "seeds", "indicators", "contexts", "heads", "systems"):
            choices = getattr(self, name)
            if not choices and name != "systems" and not (name == "features" and self.systems):
                raise UsageError(f"the grid has no {name}; give at least one.")
            if len(set(choices)) < len(choices):
                raise UsageError(f"the grid's {name} ({', '.join(map(str, choices))}) name one twice; name each once.")
        for features in self.features:
            parse_features(features)
        for indicators, context in product(self.indicators, self.contexts):
            Marking(indicators, context)
        labels = [choose(word.name, dict(word.options)).label for word in self.systems]
        for label in labels:
            if labels.count(label) > 1:
                raise UsageError(
                    f"two systems of the grid are called '{label}', so that a report could not tell them apart; "
                    "compare them with two ablations, or with `cli runs compare`."
                )
        self.cells()  # options that no head takes are refused before any work

    def cells(self) -> tuple[Cell, ...]:
        """Return all cells, in the order in which they are run.

        Rows advance together, fold by fold, so that rows of an unfinished grid can be compared. Cells that read the
        same corpus follow one another, so that a process loads it once.
        """
        places = product(self.indicators, self.contexts, self.seeds, self.folds)
        return tuple(
            Cell(config, fold)
            for indicators, context, seed, fold in places
            for config in self._configs(CorpusChoice(self.corpus, indicators, context, self.instances), seed)
        )

    def _configs(self, corpus: CorpusChoice, seed: int) -> Iterator[RunConfig]:
        """Yield the configurations of one corpus and one seed: those of heads, then those of other systems."""
        for head, features in product(self.heads, self.features):
            yield RunConfig(corpus, recipe(head, features=features, seed=seed, **self.options))
        for word in self.systems:
            yield RunConfig(corpus, system=choose(word.name, {**dict(word.options), "seed": seed}))

    def rows(self) -> tuple[GridRow, ...]:
        """Return the rows in the order of the choices given."""
        return tuple(dict.fromkeys(cell.row for cell in self.cells()))


def row_name(row: GridRow, among: Sequence[GridRow]) -> str:
    """Return a row's name: its features or its system's label, and the choices in which the rows differ."""
    differing = [
        getattr(row, name)
        for name in ("indicators", "context", "head")
        if len({getattr(each, name) for each in among if name != "head" or each.is_head}) > 1
        and (name != "head" or row.is_head)
    ]
    return ", ".join([row.features, *differing])


def split_features(text: str) -> tuple[str, ...]:
    """Read ``A; A+B; ..``: combinations separated by semicolons.

    Raises:
        UsageError: a part is not a combination of features.
    """
    words = [word for word in text.split(";") if word.strip()]
    return tuple("+".join(map(str, parse_features(word))) for word in words)


def all_subsets(encoders: Sequence[str]) -> tuple[str, ...]:
    """Return every non-empty subset of ``encoders``, the small ones first."""
    return tuple("+".join(chosen) for n in range(1, len(encoders) + 1) for chosen in combinations(encoders, n))


def featurized(store_root: str | Path) -> tuple[str, ...]:
    """Return the names of the encoders that a store holds vectors of, the narrowest first.

    Views are left out, because a view adds nothing to the set that it was made from.

    Raises:
        UsageError: the store holds no vectors.
    """
    sets = [info.meta for info in list_sets(store_root)]
    widths = {meta.name: meta.dim for meta in sets if meta.facts.get("kind") != VIEW}
    if not widths:
        make = shlex.join(["cli", "featurize", "--store", str(store_root)])
        raise UsageError(f"{store_root} holds no features to take subsets of; `{make}` makes them.")
    return tuple(sorted(widths, key=lambda name: (widths[name], name)))


@dataclass(frozen=True, slots=True)
class RowPlan:
    """The cells of a row that are left to run.

    Attributes:
        name: the row.
        cells: number of its cells in the grid.
        complete: number of cells that are trained and evaluated.
    """

    name: str
    cells: int
    complete: int


def plan(grid: Grid, runs: Path) -> list[RowPlan]:
    """Return what is left to run, row by row."""
    rows = grid.rows()
    cells = {row: [cell for cell in grid.cells() if cell.row == row] for row in rows}
    return [
        RowPlan(row_name(row, rows), len(own), sum(cell.is_complete(runs) for cell in own))
        for row, own in cells.items()
    ]


def folds(text: str, corpus: str, instances: Path | None) -> tuple[int, ...]:
    """Read ``all`` or ``1,2,3``.

    Raises:
        UsageError: it is neither, or the corpus has no such fold.
    """
    loaded = load_corpus(corpus, instances=instances)
    chosen = loaded.folds if text == "all" else numbers(text, "--folds")
    for fold in chosen:
        loaded.partition(fold)
    return chosen


def numbers(text: str, what: str) -> tuple[int, ...]:
    """Read ``1,2,3``.

    Raises:
        UsageError: it is something else.
    """
    try:
        return tuple(int(word) for word in text.split(","))
    except ValueError as error:
        raise UsageError(f"{what} '{text}' are not numbers such as 1,2,3.") from error


def seeds(text: str) -> tuple[int, ...]:
    """Read how many seeds (``3``: 1, 2 and 3) or which (``1,5,7``).

    Raises:
        UsageError: it is neither.
    """
    given = numbers(text, "--seeds")
    return given if len(given) > 1 else tuple(range(1, given[0] + 1))


def rows_of(results: Sequence[FoldResult]) -> dict[GridRow, list[FoldResult]]:
    """Return results by row, each row's in the order of seed and fold."""
    table: dict[GridRow, list[FoldResult]] = {}
    for result in sorted(results, key=lambda r: (r.config.seed, r.fold)):
        table.setdefault(GridRow.of(result.config), []).append(result)
    return table
