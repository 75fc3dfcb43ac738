"""docs/python.md: its code is run from top to bottom in an empty folder, and prints what the page says."""

from __future__ import annotations

import ast
import contextlib
import io
import math
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from cli import COMMANDS, GROUPS

PAGE = Path(__file__).resolve().parent.parent / "docs" / "python.md"
_BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)
_DECIMAL = re.compile(r"\d+\.\d+")
# A run's name ends in a hash of its options; a figure of a short training may differ from machine to machine.
_HASH = re.compile(r"(?<=seed1-)[0-9a-f]{6}")
TOLERANCE = 0.15


def blocks() -> Iterator[tuple[int, str, str]]:
    """Yield the line, the code and the output of each block of the page."""
    text = PAGE.read_text(encoding="utf-8")
    for found in _BLOCK.finditer(text):
        yield text[: found.start()].count("\n") + 2, found[1], found[2] or ""


def run(code: str, line: int, names: dict[str, object]) -> str:
    """Run a block as a notebook does: return what it prints, and the value of an expression that it ends with."""
    tree = ast.parse(code)
    ast.increment_lineno(tree, line - 1)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, str(PAGE), "exec"), names)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), str(PAGE), "eval"), names)
            if value is not None:
                print(repr(value))
    return printed.getvalue()


def same(printed: str, stated: str) -> bool:
    """Tell whether two outputs are the same but for figures of a training that may differ a little."""
    one, other = (_HASH.sub("", text) for text in (printed, stated))
    figures = [list(map(float, _DECIMAL.findall(text))) for text in (one, other)]
    close = all(math.isclose(a, b, abs_tol=TOLERANCE) for a, b in zip(*figures, strict=False))
    return _DECIMAL.sub("#", one) == _DECIMAL.sub("#", other) and close


@pytest.mark.parametrize(
    ("printed", "stated", "expected"),
    [("F1 0.70\n", "F1 0.75\n", True), ("F1 0.70\n", "F1 0.95\n", False), ("8 rows\n", "9 rows\n", False)],
)
def test_what_counts_as_the_same_output(printed: str, stated: str, expected: bool) -> None:
    assert same(printed, stated) is expected


def test_the_page_runs_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "__main__"}
    found = list(blocks())
    assert len(found) > 10
    for line, code, stated in found:
        printed = run(code, line, names)
        lines = [word for word in printed.splitlines() if word]
        if stated or lines:
            assert same(printed, stated), f"{PAGE.name}:{line} prints\n{printed}\nbut the page says\n{stated}"


def table() -> dict[str, list[str]]:
    """Return the page's table of commands: the functions of each."""
    rows = re.findall(r"^\| `cli ([^`]+)` \| (.+) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return {command: re.findall(r"`((?:featstore|classifier)\.[\w.]+)`", functions) for command, functions in rows}


def test_the_table_names_every_command() -> None:
    commands = set(COMMANDS) | {f"{group} {name}" for group, (_, members) in GROUPS.items() for name in members}
    assert set(table()) == commands


@pytest.mark.parametrize("name", sorted({name for functions in table().values() for name in functions}))
def test_every_function_of_the_table_is_there(name: str) -> None:
    """The longest part of a name that is a module, and in it the rest."""
    words = name.split(".")
    for end in range(len(words) - 1, 0, -1):
        try:
            found: object = import_module(".".join(words[:end]))
        except ImportError:
            continue
        for word in words[end:]:
            found = getattr(found, word)
        assert callable(found)
        return
    pytest.fail(f"{name} is in no module")
