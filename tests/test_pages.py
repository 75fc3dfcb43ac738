"""The pages that people read: links that resolve, commands that parse, modules that exist, a README of one sitting."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from cli import assemble

ROOT = Path(__file__).resolve().parent.parent
# The log keeps commands as they were when they printed its figures.
LOG = ROOT / "docs" / "results-log.md"
PAGES = [ROOT / name for name in ("README.md", "RESULTS.md", "CONTRIBUTING.md", "CHANGELOG.md")]
PAGES += sorted((ROOT / "docs").glob("*.md"))
CURRENT = [page for page in PAGES if page != LOG]


def of_pages(pages: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("page", pages, ids=lambda page: str(page.relative_to(ROOT)))


def blocks(page: Path) -> tuple[str, str]:
    """Return a page's prose and its code: blocks that are fenced, or indented after a blank line."""
    prose: list[str] = []
    code: list[str] = []
    fenced, before = False, ""
    inside = False
    for line in page.read_text(encoding="utf-8").splitlines():
        if line.startswith("```"):
            fenced = not fenced
        inside = fenced or (line.startswith("    ") and (inside or not before.strip()))
        (code if inside else prose).append(line)
        before = line
    return "\n".join(prose), "\n".join(code)


def commands(page: Path) -> Iterator[str]:
    """Yield the command lines of a page: lines of code, and code in the prose, that begin with ``cli``."""
    prose, code = blocks(page)
    joined = re.sub(r"\\\n\s*", " ", code)
    yield from (line.strip().removeprefix("$ ") for line in joined.splitlines() if re.match(r"\s*(\$ )?cli ", line))
    for span in re.findall(r"`([^`]+)`", prose):
        if span.startswith("cli "):
            yield " ".join(span.split())


def check(line: str, root: Any) -> None:
    """Make sure that a command line names commands, options and no more arguments than there are."""
    words = shlex.split(re.sub(r"\s{2,}#.*| # .*", "", line))[1:]
    command, path = root, "cli"
    while words and hasattr(command, "commands"):
        assert words[0] in command.commands or words[0].startswith("-"), f"{line}: {path} has no command {words[0]}"
        if words[0].startswith("-"):
            break
        path += f" {words[0]}"
        command = command.commands[words.pop(0)]
    known = {name: p for p in command.params for name in (*p.opts, *p.secondary_opts) if name.startswith("-")}
    known |= {"--help": None}
    given = 0
    while words:
        word = words.pop(0)
        if not re.match(r"--?[a-z]", word):
            given += 1
            continue
        assert word in known, f"{line}: {path} has no option {word}"
        option = known[word]
        takes_value = option is not None and not option.is_flag
        if takes_value and words:  # a page may name an option alone
            words.pop(0)
    places = [p for p in command.params if p.param_type_name == "argument"]
    unbounded = any(p.nargs == -1 for p in places)
    assert given <= len(places) or unbounded, f"{line}: {path} takes no argument {given}"


@pytest.fixture(scope="module")
def root() -> Any:
    return typer.main.get_command(assemble())


def test_the_readme_is_read_in_one_sitting() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) <= 1200


@of_pages(CURRENT)
def test_every_command_exists(page: Path, root: Any) -> None:
    for line in commands(page):
        check(line, root)


def test_what_no_command_has_is_found(root: Any) -> None:
    for line in ("cli trian", "cli train --feature glove", "cli train glove", "cli store look", "cli runs ls --fold 1"):
        with pytest.raises(AssertionError):
            check(line, root)
    check('cli extract --run runs/mine a.xml b.txt.gz -o "found it.tsv"   # both', root)


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    prose, _ = blocks(page)
    titles = re.findall(r"^#+ (.+)$", prose, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@of_pages(PAGES)
def test_every_link_leads_somewhere(page: Path) -> None:
    prose, _ = blocks(page)
    links = re.findall(r"\]\(([^)]+)\)", prose)
    for link in links:
        target, _, anchor = link.partition("#")
        if "://" in target:
            continue
        place = (page.parent / target).resolve() if target else page
        assert place.exists(), f"{page.name}: {link}"
        if anchor:
            assert anchor in anchors(place), f"{page.name}: {link}"


@of_pages(CURRENT)
def test_every_module_named_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for name in re.findall(r"\b(?:featstore|classifier|benchmarks|tests)/[\w/]+(?:\.\w+)?", text):
        if "NAME" not in name:
            assert (ROOT / name).exists(), name


def tree_paths() -> Iterator[str]:
    """Yield the paths that the tree on the page of the architecture names."""
    _, code = blocks(ROOT / "docs" / "architecture.md")
    folder = ""
    for line in code.splitlines():
        match = re.match(r"    (\s*)([\w./]+)\s{2,}\S", line)
        if not match:
            continue
        depth, name = len(match[1]) // 2, match[2]
        folder = "" if depth == 0 else "/".join(folder.split("/")[:depth])
        path = f"{folder}/{name}" if folder else name
        yield path
        if name.endswith("/"):
            folder = path.rstrip("/")
        elif depth == 0:
            folder = ""


def test_the_tree_shows_every_room_and_nothing_else() -> None:
    named = set(tree_paths())
    assert "featstore/stores/hdf5.py" in named, "the tree is read rightly"
    missing = [path for path in named if not (ROOT / path).exists()]
    assert not missing
    rooms = {
        f"{folder.relative_to(ROOT)}/"
        for package in ("featstore", "classifier")
        for folder in (ROOT / package).iterdir()
        if (folder / "__init__.py").exists()
    }
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "featstore").glob("*.py")} - {"featstore/__init__.py"}
    assert rooms | modules <= named
