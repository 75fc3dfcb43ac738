"""One public name for one thing: no two modules define a class or a type of the same name.

The modules of commands are left out: their capitalised names are command-line options, which are called after what
they give.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


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


def test_no_two_modules_define_one_name() -> None:
    modules = defaultdict(list)
    for package in ("featstore", "classifier"):
        for path in sorted((ROOT / package).rglob("*.py")):
            for name in () if path.parent.name == "commands" else defined(path):
                modules[name.lower()].append(f"{path.relative_to(ROOT)}: {name}")
    assert len(modules) > 100
    assert not [places for places in modules.values() if len(places) > 1]
