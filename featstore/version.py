"""The version of featstore: stated once, in ``pyproject.toml``, and read here from what was installed."""

from __future__ import annotations

from importlib.metadata import version

__version__ = version("featstore")
