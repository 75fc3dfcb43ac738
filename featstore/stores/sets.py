"""Feature sets in a store: their names, and the file ``set.json`` that says what each one is.

In: the facts of a feature set, or a store. Out: the set's directory, its facts read back and checked, or a list of
the sets that are there. ``set.json`` is plain JSON of a known form, and any other form is refused.
"""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TypeVar

from featstore.errors import DamagedStoreError, MismatchError, MissingFileError, UsageError, check_choice
from featstore.fingerprint import FACTS_VERSION, canonical_json, fingerprint
from featstore.stores.catalogue import unused
from featstore.stores.contract import DTYPES, MEMORY, FeatureMeta
from featstore.stores.layout import FORMAT_VERSION, INDEX_SUFFIX, SET_FILE, sentences_of_size
from featstore.stores.location import place_of
from featstore.stores.places import STAGING, Place, join, split
from featstore.stores.segments import INDEX
from featstore.stores.shards import SHARDS, ShardFiles, index_sizes
from featstore.stores.table import BACKENDS

T = TypeVar("T")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")
_IDENTITY = re.compile(r"[0-9a-f]{64}")
_LARGEST_SET_FILE = 1024**2
_LARGEST_DIM = 2**20


@dataclass(frozen=True, slots=True)
class SetInfo:
    """A feature set in a store.

    Attributes:
        path: its directory or address; :func:`featstore.stores.open_store` takes it.
        meta: what it holds.
        shards: complete shards.
        sentences: sentences in them (one that two writers stored counts twice).
    """

    path: str
    meta: FeatureMeta
    shards: int
    sentences: int


def check_meta(meta: FeatureMeta) -> FeatureMeta:
    """Return ``meta`` if it can be a feature set.

    Raises:
        UsageError: a name, identity, backend, type or size that no feature set can have.
    """
    check_choice("store backend", meta.backend, (*BACKENDS, MEMORY))
    check_choice("store dtype", meta.dtype, DTYPES)
    if not _NAME.fullmatch(meta.name):
        raise UsageError(f"'{meta.name}' cannot name a feature set; letters, digits and ._+- are allowed, up to 64.")
    if not _IDENTITY.fullmatch(meta.identity):
        raise UsageError(f"the identity of '{meta.name}' must be 64 hex digits, '{meta.identity}' was given.")
    if not 1 <= meta.dim <= _LARGEST_DIM or not 1 <= meta.layers <= meta.dim or meta.dim % meta.layers:
        raise UsageError(
            f"'{meta.name}' has {meta.dim} columns in {meta.layers} layers; 1 to {_LARGEST_DIM} columns that divide "
            "into layers of equal width are allowed."
        )
    return meta


def directory_name(meta: FeatureMeta) -> str:
    """The name of a set's directory: ``glove-0123456789abcdef-float16-hdf5``."""
    return f"{meta.name}-{meta.identity[:16]}-{meta.dtype}-{meta.backend}"


def describe(meta: FeatureMeta) -> dict[str, object]:
    """Return the content of ``set.json``: the facts of a feature set and their checksum."""
    content: dict[str, object] = {
        "format": FORMAT_VERSION,
        "facts_version": FACTS_VERSION,
        "name": meta.name,
        "identity": meta.identity,
        "dim": meta.dim,
        "layers": meta.layers,
        "dtype": meta.dtype,
        "backend": meta.backend,
        "facts": meta.facts,
    }
    return {**content, "checksum": _checksum(content)}


def write_meta(place: Place, meta: FeatureMeta) -> None:
    """Write ``set.json``."""
    content = json.dumps(describe(meta), indent=1, sort_keys=True) + "\n"
    place.publish({SET_FILE: {"": content.encode("utf-8")}})


def _checksum(facts: object) -> str:
    """The sha256 of the canonical JSON of all fields but the checksum itself."""
    rest = {name: value for name, value in facts.items() if name != "checksum"} if isinstance(facts, Mapping) else {}
    return hashlib.sha256(canonical_json(rest).encode("ascii")).hexdigest()


def read_meta(place: Place) -> FeatureMeta:
    """Read ``set.json``.

    Raises:
        MissingFileError: the place is not a feature set.
        MismatchError: a newer version of featstore wrote it.
        DamagedStoreError: it is not what FORMAT.md says.
    """
    where = join(place.location, SET_FILE)
    if not place.exists(SET_FILE):
        raise MissingFileError(
            f"{place.location} is not a feature set: it has no {SET_FILE}. "
            f"`{shlex.join(['cli', 'store', 'ls', '--store', split(place.location)[0]])}` lists those of its store."
        )
    raw = next(place.read_heads({SET_FILE: _LARGEST_SET_FILE + 1}))
    try:
        if len(raw) > _LARGEST_SET_FILE:
            raise ValueError(f"it is larger than {_LARGEST_SET_FILE} bytes")
        return parse_meta(json.loads(raw), where)
    except MismatchError:
        raise
    except (ValueError, RecursionError) as error:
        raise DamagedStoreError(
            f"{where} does not say what the feature set is: {error}. Move that file away, and `cli featurize` with the "
            "same encoder writes it again; the shards stay."
        ) from error


def parse_meta(found: object, where: str) -> FeatureMeta:
    """Return what the content of a ``set.json`` says.

    Raises:
        ValueError: it is not what FORMAT.md says, or was changed after it was written.
        MismatchError: a newer version of featstore wrote it.
    """
    version = _field(found, "format", int)
    if version > FORMAT_VERSION:
        raise MismatchError(
            f"{where} has format {version}, this featstore reads formats up to {FORMAT_VERSION}; update featstore."
        )
    if _field(found, "checksum", str) != _checksum(found):
        raise ValueError("its checksum does not fit; it was changed after it was written")
    identity, facts = _field(found, "identity", str), _field(found, "facts", dict)
    if facts and fingerprint({**facts, "facts_version": _field(found, "facts_version", int)}) != identity:
        raise ValueError("its identity is not that of its facts")
    return check_meta(
        FeatureMeta(
            name=_field(found, "name", str),
            identity=identity,
            dim=_field(found, "dim", int),
            layers=_field(found, "layers", int),
            dtype=_field(found, "dtype", str),
            backend=_field(found, "backend", str),
            facts=facts,
        )
    )


def _field(found: object, name: str, kind: type[T]) -> T:
    value = found.get(name) if isinstance(found, Mapping) else None
    if not isinstance(value, kind) or type(value) is not kind:  # True is an int
        raise ValueError(f"'{name}' must be of type {kind.__name__}")
    return value


def shard_files(place: Place, meta: FeatureMeta) -> ShardFiles:
    """Return the shards of a set, laid out as its backend does."""
    module, _, layout = BACKENDS[meta.backend].partition(":")
    return ShardFiles(place, meta, getattr(import_module(module), layout)())


def open_files(path: str | Path) -> ShardFiles:
    """Return the shards of the set at ``path``, whatever state they are in.

    Raises:
        MissingFileError, DamagedStoreError, MismatchError: as :func:`read_meta`.
    """
    place = place_of(path)
    return shard_files(place, read_meta(place))


def ensure(place: Place, meta: FeatureMeta) -> None:
    """Make the place the feature set of ``meta``, and remove what dead writers left there.

    Raises:
        UsageError: the identity is not that of the facts.
        MismatchError: it is another feature set.
    """
    if meta.facts and fingerprint(meta.facts) != meta.identity:
        raise UsageError(f"the identity of '{meta.name}' ({meta.identity[:16]}) is not that of its facts.")
    if not place.exists(SET_FILE):
        place.create()
        write_meta(place, meta)  # two who do so at once write the same
    check_same(place, read_meta(place), meta)
    sweep(place)


def sweep(place: Place) -> list[str]:
    """Remove what dead writers left: staged files, and shards without an index. Returns what was removed.

    Nothing is touched while any writer is at work, or where the place does not let itself be written.
    """
    if not place.writable():
        return []
    with place.alone(wait=False) as alone:
        left = leftovers(place) if alone else []
        place.remove(left)
    return left


def leftovers(place: Place) -> list[str]:
    """Return what no reader sees: staged files, data without an index, files of no whole segment of the key index."""
    listed = place.sizes(INDEX)  # before the shards, so that those of a segment are among them
    names = place.sizes(SHARDS)
    orphans = [f"{SHARDS}/{n}" for n in names if n.split(".")[0] + INDEX_SUFFIX not in names]
    if listed:
        orphans += unused(place, {n.removesuffix(INDEX_SUFFIX) for n in names if n.endswith(INDEX_SUFFIX)}, listed)
    return [f"{STAGING}/{n}" for n in place.sizes(STAGING)] + orphans


def check_same(place: Place, meta: FeatureMeta, wanted: FeatureMeta) -> None:
    """Make sure that a set is the wanted one, with its full identity.

    Raises:
        MismatchError: it is not.
    """
    for fact in ("name", "identity", "dim", "layers", "dtype", "backend"):
        found, want = getattr(meta, fact), getattr(wanted, fact)
        if found != want:
            raise MismatchError(
                f"{place.location} holds vectors with {fact} {found}, not {want}; remove it or name another --store."
            )


def listed_sets(
    root: str, wanted: Callable[[FeatureMeta], bool] = lambda _: True
) -> Iterator[tuple[SetInfo, dict[str, int]]]:
    """Yield the feature sets of a store, sorted by path, each with its shards and the sizes of their index files.

    Args:
        root: the store.
        wanted: which sets are returned. The shards of others are not listed, which takes time at an address.

    Raises:
        DamagedStoreError: a directory whose ``set.json`` cannot be read.
    """
    for name in sorted(place_of(root).sizes("")):
        place = place_of(join(root, name))
        if place.exists(SET_FILE) and wanted(meta := read_meta(place)):
            sizes = index_sizes(place)
            counts = [sentences_of_size(size) for size in sizes.values()]
            yield SetInfo(place.location, meta, len(sizes), sum(c for c in counts if c > 0)), sizes
