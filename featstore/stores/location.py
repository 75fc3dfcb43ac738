"""From a location as the user writes it, a path or an address, to the place that is there.

In: ``features``, ``file:///data/features`` or ``s3://bucket/prefix``. Out: a :class:`featstore.stores.places.Place`.
"""

from __future__ import annotations

from pathlib import Path

from featstore.stores.places import Place


def place_of(location: str | Path) -> Place:
    """Return the place at a path or an address."""
    text = str(location).removeprefix("file://")
    if "://" in text:
        from featstore.stores.remote import RemotePlace

        return RemotePlace(text)
    from featstore.stores.local import LocalPlace

    return LocalPlace(Path(text))
