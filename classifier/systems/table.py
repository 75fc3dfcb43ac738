"""The table of systems. Adding one is a file (or a folder) and a line here."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from classifier.systems.contract import System
from classifier.training.config import HEAD
from featstore.errors import check_choice

# name -> "module:object", a System; the module is light, see classifier.systems.contract
SYSTEMS: dict[str, str] = {
    "bert": "classifier.systems.bert.system:BERT",
    "spinn": "classifier.systems.spinn.system:SPINN",
    "mixture": "classifier.systems.mixture.system:MIXTURE",
    "svm": "classifier.systems.svm.system:SVM",
}


def system_names() -> tuple[str, ...]:
    """Return the names that ``--system`` takes: the head and those of the table."""
    return (HEAD, *SYSTEMS)


def systems_in_words() -> str:
    """Return what each system of the table is, for help texts."""
    return " ".join(f"{name}: {find_system(name).about}." for name in SYSTEMS)


def find_system(name: str) -> System[Any]:
    """Return the system of a name.

    Raises:
        UsageError: there is none.
    """
    module, _, attribute = SYSTEMS[check_choice("system", name, tuple(SYSTEMS))].partition(":")
    system: System[Any] = getattr(import_module(module), attribute)
    return system
