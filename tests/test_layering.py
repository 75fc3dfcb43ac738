"""The rooms and who may import whom, checked on the imports as they are written (lazy ones too)."""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("featstore", "classifier")

BASE = {"featstore.records", "featstore.errors", "featstore.ragged", "featstore.bundled"}
SCORING = {
    "featstore.stores",
    "classifier.features",
    "classifier.vectors",
    "classifier.batch",
    "classifier.model",
    "classifier.checkpoint",
}
# room -> what it may import of the project, besides itself; a room is a module or a package
ALLOWED: dict[str, set[str]] = {
    "featstore.errors": set(),
    "featstore.records": {"featstore.errors"},
    "featstore.bundled": {"featstore.errors"},
    "featstore.ragged": {"featstore.records", "featstore.errors"},
    "featstore.fingerprint": BASE,
    "featstore.corpora": BASE | {"featstore.fingerprint"},
    "featstore.formats": BASE,
    "featstore.encoders": BASE | {"featstore.fingerprint"},
    "featstore.stores": BASE | {"featstore.fingerprint"},
    "featstore.pretrain": BASE | {"featstore.fingerprint", "featstore.encoders"},
    "featstore.forecast": BASE | {"featstore.encoders", "featstore.stores"},
    "featstore.plan": BASE | {"featstore.forecast", "featstore.encoders"},
    "featstore.producer": BASE | {"featstore.encoders", "featstore.stores"},
    "featstore.featurize": BASE
    | {"featstore.forecast", "featstore.plan", "featstore.producer", "featstore.encoders", "featstore.stores"},
    "featstore.mend": BASE | {"featstore.forecast", "featstore.featurize", "featstore.encoders", "featstore.stores"},
    "classifier.metrics": {"featstore.errors"},
    "classifier.bilstm": set(),
    "classifier.model": {"classifier.bilstm"},
    "classifier.features": BASE | {"featstore.stores"},
    "classifier.split": BASE,
    "classifier.vectors": BASE | {"featstore.stores", "classifier.features"},
    "classifier.batch": BASE | {"featstore.stores", "classifier.vectors"},
    "classifier.pairing": BASE,
    "classifier.checkpoint": BASE
    | {"classifier.model", "classifier.features", "classifier.pairing", "featstore.fingerprint"},
    "classifier.predict": BASE | SCORING,
    "classifier.plateau": set(),
    "classifier.decision": SCORING | {"classifier.metrics", "classifier.predict"},
    "classifier.recipe": BASE | {"classifier.model"},
    "classifier.train": BASE
    | SCORING
    | {"classifier.metrics", "classifier.predict", "classifier.plateau", "classifier.recipe"},
    "classifier.resume": {"classifier.checkpoint", "classifier.train"},
    "classifier.outputs": BASE | {"classifier.predict"},
    "classifier.runs": BASE | {"featstore.corpora", "classifier.checkpoint", "classifier.recipe"},
    "classifier.memory": set(),
    "classifier.card": set(),
    "classifier.results": BASE
    | {"classifier.checkpoint", "classifier.features", "classifier.metrics", "classifier.runs", "classifier.train"},
    "classifier.folds": BASE
    | SCORING
    | {
        "classifier.card",
        "classifier.memory",
        "classifier.metrics",
        "classifier.predict",
        "classifier.train",
        "classifier.recipe",
        "classifier.decision",
        "classifier.resume",
        "classifier.runs",
        "classifier.outputs",
        "classifier.pairing",
        "classifier.split",
    },
    "classifier.significance": {"featstore.errors"},
    "classifier.standard": BASE | {"classifier.metrics", "classifier.predict"},
    "classifier.report": {"classifier.metrics"},
    "classifier.compare": BASE | {"classifier.features", "classifier.results", "classifier.significance"},
    "classifier.tensorboard": BASE | {"classifier.train"},
    "classifier.overview": BASE
    | {"classifier.compare", "classifier.report", "classifier.results", "classifier.runs", "classifier.significance"},
    # Its processes load the corpus by themselves.
    "classifier.ablate": BASE
    | SCORING
    | {
        "featstore.corpora",
        "classifier.compare",
        "classifier.folds",
        "classifier.metrics",
        "classifier.predict",
        "classifier.recipe",
        "classifier.report",
        "classifier.results",
        "classifier.runs",
        "classifier.significance",
        "classifier.train",
    },
    # The topmost room: the one place that joins both halves.
    "classifier.extract": BASE
    | SCORING
    | {
        "classifier.card",
        "classifier.pairing",
        "classifier.predict",
        "featstore.corpora",
        "featstore.encoders",
        "featstore.featurize",
        "featstore.fingerprint",
        "featstore.forecast",
        "featstore.formats",
        "featstore.plan",
    },
}
TORCH_FREE = {"classifier.metrics", "classifier.significance"}
ONLY_IN_CLI = {"typer", "rich"}


def modules() -> list[tuple[str, Path]]:
    found = []
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            found.append((name, path))
    return found


def imports(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            yield node.lineno, str(node.module)


def room(module: str) -> str | None:
    """The longest room that holds a module."""
    rooms = [r for r in ALLOWED if module == r or module.startswith(r + ".")]
    return max(rooms, key=len, default=None)


@pytest.mark.parametrize(("name", "path"), modules(), ids=[n for n, _ in modules()])
def test_module_keeps_to_its_room(name: str, path: Path) -> None:
    own = room(name)
    if name in PACKAGES or own is None:
        pytest.skip("the packages' own fronts join what lies below them")
    for line, target in imports(path):
        assert target.split(".")[0] not in ONLY_IN_CLI, f"{path}:{line}: {target} belongs in cli.py"
        if name in TORCH_FREE:
            assert target.split(".")[0] != "torch", f"{path}:{line}: {name} is numpy only"
        if target.split(".")[0] in PACKAGES:
            assert room(target) in ALLOWED[own] | {own}, f"{path}:{line}: {name} may not import {target}"


def test_every_module_has_a_room() -> None:
    homeless = [name for name, _ in modules() if room(name) is None and name not in PACKAGES]
    assert not homeless, f"name these modules in ALLOWED: {homeless}"


def test_no_module_imports_itself_by_a_roundabout_way() -> None:
    """A package's front may join its modules; nothing else is in a circle, not even by an import in a function."""
    fronts = {name for name, path in modules() if path.name == "__init__.py"}
    named = {name for name, _ in modules()} - fronts
    graph = {name: {target for _, target in imports(path)} & named for name, path in modules() if name in named}
    list(TopologicalSorter(graph).static_order())  # raises CycleError, which names the circle
