"""Names that a package's front offers, each imported when it is first asked for (PEP 562).

In: the front's name, and a table from each name to the module that defines it. Out: the two functions that Python calls
on a module. ``import featstore`` is therefore quick, whatever the front offers. Each front repeats its names under
``TYPE_CHECKING``, where type checkers and editors look; a test holds the two against each other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module


def lazy_names(front: str, table: Mapping[str, str]) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Return ``__getattr__`` and ``__dir__`` of a front.

    Args:
        front: the package, ``__name__`` in its ``__init__.py``.
        table: name -> the module that defines it.
    """

    def get(name: str) -> object:
        if name not in table:
            raise AttributeError(f"module '{front}' has no attribute '{name}'")
        value = getattr(import_module(table[name]), name)
        setattr(import_module(front), name, value)  # the next time it is there
        return value

    def names() -> list[str]:
        return sorted({*vars(import_module(front)), *table})

    return get, names
