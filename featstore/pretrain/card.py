"""The model card that stands beside trained weights: README.md, in the form that model hubs read.

In: the settings, the text and the log of a training. Out: one Markdown file that says what the model is, what it was
trained on, how large it is and how its held-out loss fell.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from featstore.files import write_file
from featstore.fingerprint import file_sha256
from featstore.markdown import markdown_table
from featstore.pretrain.schedule import LogEntry
from featstore.pretrain.text import TextSource

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_CURVE_ROWS = 12
# Settings that say where and how a training ran. They have no influence on the model.
_NOT_TOLD = {"text", "valid", "start", "out", "fresh", "device", "flair"}


def settings_of(config: DataclassInstance) -> dict[str, object]:
    """Return the fields of a configuration as plain data, nested ones beside the others, paths left out.

    What all trainings have in common comes after what is this one's own.
    """
    told: dict[str, object] = {}
    shared = {f.name for base in type(config).__mro__[1:] if is_dataclass(base) for f in fields(base)}
    for field in sorted(fields(config), key=lambda field: field.name in shared):
        value = getattr(config, field.name)
        if is_dataclass(value) and not isinstance(value, type):
            told |= settings_of(value)
        elif field.name not in _NOT_TOLD:
            told[field.name] = value
    return told


def read_log(path: Path) -> list[LogEntry]:
    """Return the entries of a ``log.jsonl``."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def write_card(
    folder: Path,
    *,
    title: str,
    method: str,
    source: TextSource,
    settings: Mapping[str, object],
    logs: Mapping[str, Sequence[LogEntry]],
    files: Sequence[Path],
) -> None:
    """Write ``README.md`` into ``folder``.

    Args:
        title: what the model is.
        method: the paper that it follows.
        source: the text it was trained on.
        settings: everything that was chosen.
        logs: name of each training, and its log.
        files: the weights.
    """
    lines = ["---", "language: en", "library_name: featstore", "tags: [biomedical, language-model]", "---", ""]
    lines += [f"# {title}", "", f"Method: {method}. Trained by featstore.", "", "## Text", ""]
    lines += [markdown_table(("file", "bytes", "sha256", "part"), _files(source)), "", "## Settings", ""]
    chosen = ((name, str(value)) for name, value in settings.items())
    lines += [markdown_table(("setting", "value"), chosen), "", "## Held-out loss", ""]
    for name, log in logs.items():
        head = (f"{name}: step", "read", "training", f"held-out {log[-1]['measure']}")
        lines += [markdown_table(head, _curve(log)), ""]
    sizes = ((path.name, f"{path.stat().st_size:,}", file_sha256(path)) for path in files)
    lines += ["## Files", "", markdown_table(("file", "bytes", "sha256"), sizes), ""]
    write_file(folder / "README.md", "\n".join(lines).encode("utf-8"))


def _files(source: TextSource) -> Iterator[tuple[str, ...]]:
    for part, paths in (("training", source.text), ("held-out", source.valid)):
        for path in paths:
            yield path.name, f"{path.stat().st_size:,}", file_sha256(path), part


def _curve(log: Sequence[LogEntry]) -> Iterator[tuple[str, ...]]:
    """Some rows of a log, evenly spaced, the last one among them."""
    count = min(_CURVE_ROWS, len(log))
    for i in range(count):
        entry = log[(i + 1) * len(log) // count - 1]
        yield f"{entry['step']:,}", f"{entry['units']:,}", f"{entry['train']:.3f}", f"{entry['held_out']:.3f}"
