"""The key index of a feature set: which segments there are, writing and merging them.

In: the shards of a set. Out: segments that hold the sorted keys of many shards. They are a cache that can be made
again from the shards at any time. A segment counts only if its list fits its name, all its parts are there, and all
shards that it names are there, so one that is torn, or that outlived a shard, is as good as none. Its parts are
written before its list, and names are digests, so writers need no lock and do not disturb each other. The keys of
shards that no segment names are read from the shards' own indexes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from featstore.errors import DamagedStoreError, MissingFileError
from featstore.records import KEY_BYTES
from featstore.stores.index import SortedKeys
from featstore.stores.layout import head_size, sentences_of_size, unpack_keys
from featstore.stores.places import Place, join
from featstore.stores.segments import (
    CONTENTS_SUFFIX,
    INDEX,
    PART_SUFFIX,
    Contents,
    Segment,
    digest,
    pack_contents,
    pack_part,
    part_edges,
    parts_for,
    unpack_contents,
)
from featstore.stores.shards import ShardFiles

LEAST = 2**17  # sentences outside all segments for which a new one is worth while
AT_ONCE = 2**22  # sentences whose keys are sorted in memory: 300 MB
AUTOMATIC = 2**24  # keys up to which writers merge segments by themselves


@dataclass(frozen=True, slots=True, eq=False)
class KeySource:
    """Keys that go into a segment.

    Attributes:
        shards: names of the shards that hold them, ascending.
        count: how many they are at most.
        between: returns those whose high half is in a range, with the number of the shard and the sentence in it.
    """

    shards: Sequence[str]
    count: int
    between: Callable[[int, int], SortedKeys]


def segments(place: Place, shards: Collection[str]) -> list[Segment]:
    """Return the segments that hold the keys of a set's shards, none that holds only what others hold.

    Args:
        place: the feature set.
        shards: names of its shards.
    """
    found = sorted(_whole(place, shards, place.sizes(INDEX)), key=lambda s: (-len(s.contents.shards), s.name))
    held: set[str] = set()
    chosen = []
    for segment in found:
        if not held.issuperset(segment.contents.shards):
            held.update(segment.contents.shards)
            chosen.append(segment)
    return chosen


def _whole(place: Place, shards: Collection[str], sizes: Mapping[str, int]) -> list[Segment]:
    """Return the segments that are whole and name no shard but these; ``sizes`` are those of the index's files."""
    return [
        segment
        for segment in _listed(place, sizes)
        if segment.contents.files().items() <= sizes.items() and set(segment.contents.shards) <= set(shards)
    ]


def _listed(place: Place, names: Collection[str]) -> list[Segment]:
    """Return the segments whose list is among these files of the index and fits its name."""
    found = []
    for name in names:
        if name.endswith(CONTENTS_SUFFIX):
            try:
                raw = place.read(f"{INDEX}/{name}")
                contents = unpack_contents(raw)
            except (MissingFileError, ValueError):  # merged into another meanwhile, or damaged
                continue
            if digest(raw) + CONTENTS_SUFFIX == name:
                found.append(Segment(place, digest(raw), contents))
    return found


def unused(place: Place, shards: Collection[str], sizes: Mapping[str, int]) -> list[str]:
    """Return the files of the index that belong to no whole segment of these shards; arguments as of the above."""
    used = {name for segment in _whole(place, shards, sizes) for name in (_list_name(segment), *_part_names(segment))}
    return [name for name in (f"{INDEX}/{n}" for n in sizes) if name not in used]


def damaged(place: Place, shards: Collection[str]) -> list[Segment]:
    """Return the segments in use of which a byte changed."""
    found = []
    for segment in _whole(place, shards, place.sizes(INDEX)):
        try:
            segment.check()
        except MissingFileError:  # merged into another meanwhile
            continue
        except DamagedStoreError:
            found.append(segment)
    return found


def mend(files: ShardFiles) -> None:
    """Remove damaged segments and write what they should hold again.

    Raises:
        ResourceError: no room, or no right, to write.
    """
    if broken := damaged(files.place, files.sizes()):
        _remove(files.place, _listed(files.place, files.place.sizes(INDEX)), broken)
        update(files)


def _list_name(segment: Segment) -> str:
    return f"{INDEX}/{segment.name}{CONTENTS_SUFFIX}"


def _part_names(segment: Segment) -> list[str]:
    return [f"{INDEX}/{name}" for name in segment.contents.files()]


def remove_naming(place: Place, shards: Collection[str]) -> None:
    """Remove the segments that name one of these shards, which are to be removed themselves."""
    gone = set(shards)
    listed = _listed(place, place.sizes(INDEX))
    _remove(place, listed, [s for s in listed if not gone.isdisjoint(s.contents.shards)])


def _remove(place: Place, listed: list[Segment], goes: list[Segment]) -> None:
    """Remove some of the segments that are listed, each one's list before its parts."""
    names = {segment.name for segment in goes}
    stays = {part for segment in listed if segment.name not in names for part in _part_names(segment)}
    place.remove([_list_name(segment) for segment in goes])
    place.remove([part for segment in goes for part in _part_names(segment) if part not in stays])


def read_keys(files: ShardFiles, sizes: Mapping[str, int]) -> NDArray[np.uint8]:
    """Return the keys of shards whose index files have these sizes, one after the other; Shape: (n, 16).

    Raises:
        MissingFileError, DamagedStoreError: an index is gone, or is none.
    """
    counts = {name: max(sentences_of_size(size), 0) for name, size in sizes.items()}
    heads = files.place.read_heads({files.index_name(name): head_size(count) for name, count in counts.items()})
    keys = np.empty((sum(counts.values()), KEY_BYTES), dtype=np.uint8)
    end = 0
    for raw, (name, size) in zip(heads, sizes.items(), strict=True):
        end += counts[name]
        where = join(files.place.location, files.index_name(name))
        keys[end - counts[name] : end] = unpack_keys(raw, size, where)
    return keys


def is_worth_while(sentences: int) -> bool:
    """Tell whether so many sentences outside all segments are worth a new one."""
    return sentences >= LEAST


def update(files: ShardFiles, *, everything: bool = False) -> bool:
    """Put the keys of shards that no segment names into a segment, together with those of smaller segments.

    Nothing happens while these shards hold fewer than ``LEAST`` sentences.

    Args:
        files: the set.
        everything: make one segment of all, however large; otherwise small ones stay beside a large one.

    Returns:
        whether anything was written.

    Raises:
        MissingFileError, DamagedStoreError: a shard or a segment is gone, or is none.
        ResourceError: no room, or no right, to write.
    """
    sizes = files.sizes()
    old = segments(files.place, sizes)
    held = {name for segment in old for name in segment.contents.shards}
    loose = {name: size for name, size in sizes.items() if name not in held}
    total = sum(map(sentences_of_size, loose.values()))
    if not is_worth_while(total) and not (everything and len(old) > 1):
        return False
    *first, last = _batches(loose)
    old += [write(files.place, [_sorted(files, batch)]) for batch in first]
    sources = [_sorted(files, last)] if last else []
    for segment in sorted(old, key=lambda s: s.contents.keys):
        count = segment.contents.keys
        if everything or count <= total <= AUTOMATIC - count:
            segment.check()
            sources.append(KeySource(segment.contents.shards, count, segment.between))
            total += count
    write(files.place, sources)
    listed = _listed(files.place, files.place.sizes(INDEX))
    stays = {segment.name for segment in segments(files.place, files.sizes())}
    _remove(files.place, listed, [segment for segment in listed if segment.name not in stays])
    return True


def _batches(sizes: Mapping[str, int]) -> list[dict[str, int]]:
    """Divide shards into batches whose keys fit into memory; at least one, which may be empty."""
    batches: list[dict[str, int]] = [{}]
    held = 0
    for name, size in sizes.items():
        count = sentences_of_size(size)
        if batches[-1] and held + count > AT_ONCE:
            batches.append({})
            held = 0
        batches[-1][name] = size
        held += count
    return batches


def _sorted(files: ShardFiles, sizes: Mapping[str, int]) -> KeySource:
    """Return the keys of some shards, sorted."""
    counts = map(sentences_of_size, sizes.values())
    position = [(number << 32) + np.arange(count, dtype=np.int64) for number, count in enumerate(counts)]
    table = SortedKeys.of(read_keys(files, sizes), np.concatenate(position))
    return KeySource(list(sizes), len(table), table.between)


def write(place: Place, sources: Sequence[KeySource]) -> Segment:
    """Write a segment part by part, the list of them last.

    Raises:
        ResourceError: no room, or no right, to write.
    """
    shards = sorted({name for source in sources for name in source.shards})
    number = {name: i for i, name in enumerate(shards)}
    renumbered = [np.array([number[name] for name in source.shards], dtype=np.int64) for source in sources]
    counts, parts = [], []
    for first, last in part_edges(parts_for(sum(source.count for source in sources))):
        tables = [source.between(first, last) for source in sources]
        joined = SortedKeys.join(
            [
                SortedKeys(t.high, t.low, (new[t.position >> 32] << 32) | (t.position & 0xFFFFFFFF))
                for t, new in zip(tables, renumbered, strict=True)
            ]
        )
        content = pack_part(joined)
        counts.append(len(joined))
        parts.append(digest(content))
        if content:
            place.publish({f"{INDEX}/{parts[-1]}{PART_SUFFIX}": {"": content}})
    contents = Contents(tuple(counts), tuple(parts), tuple(shards))
    packed = pack_contents(contents)
    place.publish({f"{INDEX}/{digest(packed)}{CONTENTS_SUFFIX}": {"": packed}})
    return Segment(place, digest(packed), contents)
