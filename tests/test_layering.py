"""The rooms and who may import whom, checked on the imports as they are written (lazy ones too); names are unique."""

import ast
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from graphlib import TopologicalSorter
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("featstore", "classifier")

BASE = {"featstore.records", "featstore.documents", "featstore.errors", "featstore.ragged", "featstore.files"}
BASE |= {"featstore.types", "featstore.labels", "featstore.progress", "featstore.markdown", "featstore.plain"}
BASE |= {"featstore.bundled", "featstore.durable", "featstore.gold", "featstore.addresses", "featstore.streams"}
BASE |= {
    "featstore.lazy",
    "featstore.version",
    "featstore.frame",
    "featstore.cache",
    "featstore.copies",
    "featstore.pairing",
    "featstore.allocation",
}
LIBRARY = BASE | {"featstore.fingerprint"}
FEATURIZE = {"featstore.encoders", "featstore.stores", "featstore.featurize"}
READING = {"featstore.stores", "classifier.data", "classifier.head"}
SCORED = READING | {"classifier.training", "classifier.scores"}
# room -> what it may import of the project, besides itself; a room is a module or a package
ALLOWED: dict[str, set[str]] = {
    "featstore.errors": set(),
    "featstore.durable": set(),
    "featstore.cache": set(),
    "featstore.addresses": {"featstore.errors"},
    "featstore.copies": {"featstore.errors", "featstore.cache", "featstore.addresses"},
    "featstore.files": {"featstore.errors", "featstore.durable", "featstore.addresses", "featstore.streams"},
    "featstore.streams": {"featstore.errors", "featstore.addresses"},
    "featstore.allocation": set(),
    "featstore.gold": set(),
    "featstore.lazy": set(),
    "featstore.version": set(),
    "featstore.frame": {"featstore.errors"},
    "featstore.documents": set(),
    "featstore.records": {"featstore.documents", "featstore.errors", "featstore.frame", "featstore.gold"},
    "featstore.types": {"featstore.errors"},
    "featstore.labels": set(),
    "featstore.pairing": {"featstore.records", "featstore.types"},
    "featstore.bundled": {"featstore.errors"},
    "featstore.progress": set(),
    "featstore.markdown": set(),
    "featstore.plain": {"featstore.errors"},
    "featstore.ragged": {"featstore.records", "featstore.errors"},
    "featstore.fingerprint": BASE,
    "featstore.corpora": LIBRARY | {"featstore.formats"},
    "featstore.formats": BASE,
    "featstore.encoders": LIBRARY,
    "featstore.stores": LIBRARY,
    "featstore.pretrain": LIBRARY | {"featstore.encoders"},
    "featstore.scale": BASE,
    "featstore.featurize": LIBRARY | {"featstore.encoders", "featstore.stores", "featstore.scale"},
    "featstore.api": LIBRARY | FEATURIZE | {"featstore.corpora"},
    "classifier.data": LIBRARY | {"featstore.stores"},
    "classifier.head": set(),
    "classifier.scores": {"featstore.errors"},
    "classifier.training": LIBRARY | READING | {"classifier.scores"},
    "classifier.runs": LIBRARY | SCORED | {"featstore.corpora"},
    "classifier.systems": LIBRARY | SCORED | {"featstore.corpora", "classifier.runs"},
    "classifier.entities": LIBRARY | FEATURIZE | SCORED | {"featstore.corpora", "featstore.formats", "classifier.runs"},
    "classifier.ablate": LIBRARY
    | SCORED
    | {"featstore.corpora", "featstore.scale", "classifier.runs", "classifier.systems"},
    # The one place that joins both halves.
    "classifier.extract": LIBRARY
    | FEATURIZE
    | SCORED
    | {"featstore.corpora", "featstore.formats", "featstore.scale"}
    | {"classifier.runs", "classifier.systems", "classifier.entities"},
    "classifier.serve": LIBRARY | {"featstore.formats", "classifier.data", "classifier.extract", "classifier.entities"},
}
# What programs call; it stands on all rooms of its package.
ALLOWED["classifier.api"] = {name for name in ALLOWED if name != "featstore.api"}
NUMPY_ONLY = {"classifier.scores"}
COMMANDS = ("featstore.commands", "classifier.commands")  # rooms that only cli.py imports
IN_COMMANDS_ONLY = {"typer", "rich"}


def modules() -> dict[str, Path]:
    """Every module of the project, package fronts too."""
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
    }


MODULES = modules()


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and target of every import; ``from package import module`` is an import of the module."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            for alias in node.names:
                module = f"{node.module}.{alias.name}"
                yield node.lineno, module if module in MODULES else str(node.module)


def room(module: str) -> str | None:
    """The longest room that holds a module."""
    rooms = [r for r in ALLOWED if module == r or module.startswith(r + ".")]
    return max(rooms, key=len, default=None)


def is_command(module: str) -> bool:
    return module.startswith(COMMANDS)


@pytest.mark.parametrize("name", [name for name in MODULES if name not in PACKAGES and not is_command(name)])
def test_module_keeps_to_its_room(name: str) -> None:
    own = room(name)
    assert own is not None, f"name {name} in ALLOWED"
    for line, target in imports(MODULES[name]):
        where = f"{MODULES[name]}:{line}"
        outermost = target.split(".")[0]
        assert outermost not in IN_COMMANDS_ONLY, f"{where}: {target} belongs in a command"
        assert not is_command(target), f"{where}: only cli.py imports commands"
        if own in NUMPY_ONLY:
            assert outermost != "torch", f"{where}: {own} is numpy only"
        if outermost in PACKAGES:
            assert room(target) in ALLOWED[own] | {own}, f"{where}: {name} may not import {target}"


def test_a_package_front_holds_imports_and_tables_only() -> None:
    for path in MODULES.values():
        if path.name == "__init__.py":
            made = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
            machinery = [node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, made)]
            assert not machinery, f"{path}: {machinery} belong in a module of their own"


def lazy_table(path: Path) -> dict[str, str] | None:
    """The names that a front imports when they are asked for, each with its module; None if it imports at once."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "lazy_names":
            table: dict[str, str] = ast.literal_eval(node.args[1])
            return table
    return None


LAZY = {name: table for name, path in MODULES.items() if (table := lazy_table(path))}


@pytest.mark.parametrize("front", LAZY)
def test_a_lazy_front_says_the_same_to_python_and_to_type_checkers(front: str) -> None:
    """So every name that it imports lazily is an import that the other tests of this file see."""
    (block,) = [node for node in ast.parse(MODULES[front].read_text()).body if isinstance(node, ast.If)]
    checked = {alias.name: node.module for node in block.body for alias in node.names}  # type: ignore[attr-defined]
    assert checked == LAZY[front]
    exported = import_module(front)
    assert sorted(exported.__all__) == sorted(checked)
    for name, module in checked.items():
        assert getattr(exported, name) is getattr(import_module(module), name)
    assert set(checked) <= set(dir(exported))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = exported.nothing


@pytest.mark.parametrize("front", PACKAGES)
def test_the_front_of_a_package_imports_that_package_and_no_command(front: str) -> None:
    assert front in LAZY
    for line, target in imports(MODULES[front]):
        assert not is_command(target), f"{MODULES[front]}:{line}"
        allowed = {"featstore", front} | {"typing"}
        assert target.split(".")[0] in allowed, f"{MODULES[front]}:{line}: {target}"


def test_importing_a_package_loads_nothing_else() -> None:
    code = (
        "import sys, featstore, classifier; print(*sorted(m for m in ('numpy', 'torch', 'h5py') if m in sys.modules))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT)
    assert not loaded.stdout.split()


def test_no_module_imports_itself_by_a_roundabout_way() -> None:
    """No circle of imports, fronts and imports inside functions counted."""
    graph = {name: {t for _, t in imports(path) if t in MODULES and t != name} for name, path in MODULES.items()}
    list(TopologicalSorter(graph).static_order())  # raises CycleError, which names the circle


# The modules of the stores, from the ground up; each imports only those that stand before it.
STORES = (
    *("contract", "places", "layout", "rows", "checks", "index", "local", "remote", "location", "memory", "hdf5"),
    *("zarr", "table", "shards", "segments", "key_table", "catalogue", "ranged", "opened", "sets", "sharded"),
    *("access", "pace", "maintenance"),
    *("maintenance.inspect", "maintenance.explain", "maintenance.usage", "maintenance.rewrite", "maintenance.bundle"),
    *("maintenance.verify", "maintenance.views", "maintenance.remake"),
)


def test_imports_between_the_modules_of_the_stores_point_down() -> None:
    above = "featstore.stores."
    rank = {f"{above}{name}": number for number, name in enumerate(STORES)}
    assert {name for name in MODULES if name.startswith(above)} == set(rank)
    for name, own in rank.items():
        for line, target in imports(MODULES[name]):
            assert rank.get(target, -1) < own, f"{MODULES[name]}:{line}: {name} may not import {target}"


def defined(path: Path) -> Iterator[str]:
    """The public classes and type aliases of a module; a constant (all capitals) is neither."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        match node:
            case ast.ClassDef(name=name):
                found = name
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                found = name
            case _:
                continue
        if found[0].isupper() and not found.isupper():
            yield found


def test_a_public_name_means_one_thing() -> None:
    """No two modules define a class or a type of one name, whatever its capitals.

    Commands are left out: their capitalised names are command-line options, which are called after what they give.
    """
    places = defaultdict(list)
    for module, path in MODULES.items():
        for name in () if is_command(module) else defined(path):
            places[name.lower()].append(f"{module}.{name}")
    assert len(places) > 100
    several = [found for found in places.values() if len(found) > 1]
    assert not several, f"give each a name of its own: {several}"
