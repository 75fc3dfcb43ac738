"""Damage well-formed files at random and read them: every reader of documents and of corpora.

    python benchmarks/fuzz.py --inputs 100000

In: the samples of ``fuzz_samples.py``. Each input is a sample in which one to three pieces of bytes were cut out,
doubled, moved, turned over or replaced by what the formats give a meaning to; some inputs are gzipped or have other
line ends. Out: a table of what came of them, and the first input of each kind of fault (``--keep`` writes it to a
folder). A fault is:

- an exception that is none of the project's own errors, running out of memory among them;
- more than some seconds for an input of a kilobyte;
- a mention that is not the characters at its offsets, or a document that cannot be written as JSON;
- a word of the input that is in no document although nothing was said of anything;
- where the damage is in the lines of one document: another document that is not what it was, and of which nothing was
  said, by its id, by a line of it, or by the place from which nothing could be read.
"""

from __future__ import annotations

import argparse
import gzip
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from fuzz_neighbours import Spoilt, damage_one, documents_changed, instances_changed
from fuzz_samples import MODEL, WORDS, Sample, corpora, documents

from featstore.corpora.choice import CorpusChoice
from featstore.corpora.table import read_quietly
from featstore.documents import Document
from featstore.errors import FeatstoreError
from featstore.formats import BadDocument, read_documents, writer_of
from featstore.records import Corpus

SECONDS = 10  # for one input; the machine may be busy
MEMORY = 4_000_000_000  # bytes of address space, of which the libraries take more than half
# What the formats give a meaning to, and numbers that are none.
TOKENS = (
    *(bytes([byte]) for byte in b"\n\r\t|\"'<>&{[]},:; 0\xff\x00\x85\x80-"),
    *(b"\r\n", b"\n\n", b"null", b"true", b"-1", b"1e999", b"NaN", b"9" * 30, b"\\ud800", b"\\u0000", b"\xed\xa0\x80"),
    *(b"<passage>", b"</document>", b"<infon key='a'>", b"<!DOCTYPE a>", b"<![CDATA[", b"&x;", b"&#0;", b"&amp;"),
    *(b"|t|", b"|a|", b"R1\t", b"T1\t", b"id0", b"\xef\xbb\xbf", b"\xff\xfe", b"\x1f\x8b", "\u2028".encode(), b"{}"),
    *(b'"id":"a",', b'"text":"b",', b'"entities":[],', b"[" * 50, b"<a>" * 50, b"NONE", b"CPR:4"),
)

_UNDAMAGED: dict[str, Sequence[Any]] = {}  # sample -> its documents or instances


class TooSlowError(Exception):
    """An input was not read in time."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an input.

    Attributes:
        kind: ``read``, ``told`` (something was reported), ``refused`` (with an error of the project) or ``fault``.
        fault: what is wrong, if anything is.
    """

    kind: str
    fault: str = ""


def damage(files: Mapping[str, bytes], kept: int, draw: random.Random) -> dict[str, bytes]:
    """Return files with some damage, of which the first ``kept`` bytes stay."""
    damaged = dict(files)
    for _ in range(draw.choice((1, 1, 2, 3))):
        name = draw.choice(sorted(damaged))
        damaged[name] = damaged[name][:kept] + _damaged(damaged[name][kept:], draw)
    everything = draw.random()
    if everything < 0.05:
        ends = draw.choice((b"\r", b"\r\n"))
        damaged = {name: content.replace(b"\n", ends) for name, content in damaged.items()}
    if everything > 0.97:
        damaged = {name: gzip.compress(content, mtime=0) for name, content in damaged.items()}
        if everything > 0.99:
            damaged = {name: _damaged(content, draw) for name, content in damaged.items()}
    return damaged


def _damaged(raw: bytes, draw: random.Random) -> bytes:
    at = draw.randint(0, len(raw))
    end = min(at + int(draw.expovariate(1 / 12)), len(raw))
    other = draw.randint(0, len(raw))
    match draw.randrange(8):
        case 0:
            return raw[:at] + raw[end:]
        case 1:
            return raw[:at] + raw[at:end] * draw.randint(2, 4) + raw[end:]
        case 2:
            return raw[:at] + raw[other : other + end - at] + raw[end:]
        case 3 if raw:
            at = min(at, len(raw) - 1)
            return raw[:at] + bytes([raw[at] ^ 1 << draw.randrange(8)]) + raw[at + 1 :]
        case 4:
            lines = raw.split(b"\n")
            draw.shuffle(lines)
            return b"\n".join(lines)
        case 5 if draw.random() < 0.2:
            return raw[:at]
        case _:
            return raw[:at] + draw.choice(TOKENS) + raw[draw.choice((at, end)) :]


def write(files: Mapping[str, bytes], folder: Path) -> None:
    """Write files into a folder."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def read(sample: Sample, files: Mapping[str, bytes], folder: Path, spoilt: Spoilt | None = None) -> Outcome:
    """Read an input, and say what came of it.

    Args:
        sample: what it was before it was damaged.
        files: the input.
        folder: where it is written.
        spoilt: the one line that is damaged, if it is one.
    """
    write(files, folder)
    kind, _, name = sample.name.partition(" ")
    try:
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
        if kind == "document":
            return _read_documents(sample, name, files, folder, spoilt)
        return _read_corpus(sample, name, folder, spoilt)
    except FeatstoreError as error:
        return Outcome("refused") if str(error).strip() else Outcome("fault", "an error without a text")
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        return Outcome("fault", f"{type(error).__name__} at {Path(last.filename).name}:{last.name}: {error!s:.80}")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _read_documents(
    sample: Sample, format_: str, files: Mapping[str, bytes], folder: Path, spoilt: Spoilt | None
) -> Outcome:
    found = list(read_documents(_path(files, folder), format_))
    told = False
    for one in found:
        if isinstance(one, BadDocument):
            told = True
            if not one.why or not one.where.startswith(str(folder)):
                return Outcome("fault", f"a bad document without a place or a reason: {one}")
            continue
        told |= bool(one.problems)
        if any(one.text[e.start : e.end] != e.text for e in one.entities):
            return Outcome("fault", "a mention is not the characters at its offsets")
        for other in ("jsonl", "bioc-json"):
            writer_of(other).document(one, [], MODEL).encode()
    if not told and sample.accounts and (lost := _lost(files, [one for one in found if isinstance(one, Document)])):
        return Outcome("fault", f"lost without a word: {lost}")
    if spoilt and (others := documents_changed(_before(sample), found, spoilt, sample)):
        return Outcome("fault", f"changed without a word, though another was damaged: {others}")
    return Outcome("told" if told else "read")


def _lost(files: Mapping[str, bytes], found: list[Document]) -> list[str]:
    """Return the words of the files that are in no document, which must hold each as often as the files do."""
    raw = b"".join(content for content in files.values() if not content.startswith(b"\x1f\x8b"))
    kept = repr([(one.id, one.text, one.entities, one.relations, one.bioc, one.collection) for one in found])
    words = [f"{word}{number}" for word in WORDS for number in range(3)]
    return [word for word in words if word.encode() in raw and word not in kept]


def _read_corpus(sample: Sample, name: str, folder: Path, spoilt: Spoilt | None) -> Outcome:
    corpus = _corpus(name, folder)
    ids = Counter(instance.id for instance in corpus.instances)
    if any(count > 1 for count in ids.values()):
        return Outcome("fault", "two instances have one id")
    told = bool(corpus.problems)
    if spoilt and not told and (others := instances_changed(_before(sample), corpus.instances, spoilt)):
        return Outcome("fault", f"changed without a word, though another was damaged: {others}")
    return Outcome("told" if told else "read")


def _corpus(name: str, folder: Path) -> Corpus:
    only = next(iter(sorted(folder.iterdir())))
    is_file = name in ("jsonl", "aimed")
    return read_quietly(CorpusChoice(f"{name}:{only if is_file else folder}", "tags", "sentence", None))


def _path(files: Mapping[str, bytes], folder: Path) -> Path:
    return folder / next(iter(files)) if len(files) == 1 else folder


def _before(sample: Sample) -> Sequence[Any]:
    """Return the documents or instances of a sample that is not damaged."""
    if sample.name not in _UNDAMAGED:
        kind, _, name = sample.name.partition(" ")
        with tempfile.TemporaryDirectory(prefix="featstore-fuzz-") as place:
            write(sample.files, Path(place))
            found = read_documents(_path(sample.files, Path(place)), name) if kind == "document" else ()
            _UNDAMAGED[sample.name] = list(found) or _corpus(name, Path(place)).instances
    return _UNDAMAGED[sample.name]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=100_000, help="of all readers together")
    parser.add_argument("--seed", type=int, default=1, help="of the damage")
    parser.add_argument("--only", default="", help="samples whose names begin so")
    parser.add_argument("--keep", type=Path, help="folder for the first input of each kind of fault")
    given = parser.parse_args()
    samples = [sample for sample in (*documents(), *corpora()) if sample.name.startswith(given.only)]
    share, begun, faults = -(-given.inputs // len(samples)), time.monotonic(), 0
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    print("| reader | inputs | read | told | refused | faults |\n|---|---|---|---|---|---|")
    for sample in samples:
        counts, kinds = fuzz(sample, share, given.seed, given.keep)
        figures = (f"{counts[kind]:,}" for kind in ("read", "told", "refused", "fault"))
        print(f"| {sample.name} | {share:,} | {' | '.join(figures)} |", flush=True)
        for kind, count in kinds.most_common(8):
            print(f"{count:,} x {kind}", file=sys.stderr, flush=True)
        faults += counts["fault"]
    total = share * len(samples)
    print(f"\n{total:,} inputs in {(time.monotonic() - begun) / 60:.1f} min, {faults:,} faults.")
    return bool(faults)


def fuzz(sample: Sample, inputs: int, seed: int, keep: Path | None = None) -> tuple[Counter[str], Counter[str]]:
    """Damage a sample many times.

    Args:
        sample: what is damaged.
        inputs: how often.
        seed: of the damage; input n of a seed is always the same.
        keep: a folder for the first input of each kind of fault.

    Returns:
        How many inputs had each outcome, and how many each fault.
    """

    def too_slow(*_: object) -> None:
        raise TooSlowError(f"more than {SECONDS} s")

    before = signal.signal(signal.SIGALRM, too_slow)
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    counts, kinds = Counter[str](), Counter[str]()
    for number in range(inputs):
        draw = random.Random(f"{seed} {sample.name} {number}")
        with tempfile.TemporaryDirectory(prefix="featstore-fuzz-", dir=memory) as place:
            spoilt = None
            if sample.regions and draw.random() < 0.5:
                files, spoilt = damage_one(sample, draw.choice(sample.regions), partial(_damaged, draw=draw))
            else:
                files = damage(sample.files, sample.kept, draw)
            outcome = read(sample, files, Path(place), spoilt)
            counts[outcome.kind] += 1
            if outcome.fault:
                fault = outcome.fault.replace(place, "")
                if keep and fault not in kinds:
                    shutil.copytree(place, keep / f"{sample.name.replace(' ', '-')}-{number}", dirs_exist_ok=True)
                kinds[fault] += 1
    signal.signal(signal.SIGALRM, before)
    return counts, kinds


if __name__ == "__main__":
    sys.exit(main())
