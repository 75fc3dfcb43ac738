"""A model bundle: one folder with all that extraction needs, to give away.

In: the folder of a trained fold and its encoders. Out: a folder with ``model.safetensors`` and ``run.json`` (the
checkpoint), ``metrics.json``, the encoders' files below ``encoders/``, a model card, and ``bundle.json``, which lists
every file with its size and sha256. An encoder that is installed as a package of its own (the default GloVe) is named
by its identity only. No pickle goes in or is read. A bundle may come from anywhere: every name, size and hash is
checked before a file is used, and an encoder must have the identity that the checkpoint names.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from classifier.entities.encoders import load_encoders
from classifier.extract.manifest import BUNDLE_VERSION, MANIFEST, BundleFacts, ListedFile, PlacedEncoder, read_manifest
from classifier.runs.card import bundle_card
from classifier.runs.checkpoint import Checkpoint, save_checkpoint
from classifier.runs.facts import METRICS, RUN, WEIGHTS, read_metrics, read_run, to_json
from classifier.systems.saved import MODEL, AnyModel, copy_fitted, load_model
from featstore.addresses import address_of, files_below, upload
from featstore.bundled import bundled
from featstore.encoders import Encoder
from featstore.encoders.contract import weights_of
from featstore.encoders.spec import parse_spec
from featstore.errors import DataError, MismatchError, MissingFileError, UsageError
from featstore.files import check_output_folder, clear_errors, make_folder, open_output, write_file
from featstore.fingerprint import file_sha256
from featstore.streams import behind_links

CARD, ENCODERS = "README.md", "encoders"
LARGEST = 2 << 30  # bytes of an encoder that are still copied
_SUFFIXES = (".safetensors", ".hdf5", ".json", ".txt", ".gz", ".zip", ".md", ".model", ".vocab")  # no pickle among them
_NAME = re.compile(r"(?!\.)[\w.-]+(/(?!\.)[\w.-]+){0,4}", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle that was checked.

    Attributes:
        name: what its maker calls the model.
        checkpoint: the trained head, or the fitted system.
        encoders: for each encoder whose files are in it, the spec ``NAME:PATH``.
    """

    name: str
    checkpoint: AnyModel
    encoders: Mapping[str, str]


def is_bundle(folder: Path) -> bool:
    """Whether a folder says that it is a bundle."""
    return os.path.isfile(folder / MANIFEST)  # False too where no file can be


def write_bundle(
    fold_dir: Path,
    target: Path,
    *,
    encoders: Sequence[str] = (),
    with_encoders: bool = True,
    licence: str = "other",
) -> dict[str, int]:
    """Make a bundle of a trained fold; it appears whole or not at all.

    At an address the manifest comes last, and without it what is there is no bundle. What an attempt that was cut short
    has left there is written anew.

    Args:
        fold_dir: the folder of the fold.
        target: the bundle's folder or its address; it must not exist, or be empty.
        encoders: ``NAME:PATH`` for each encoder that is not the one that comes with featstore.
        with_encoders: whether to copy the encoders' files, or to name their identities only.
        licence: of the model, for its card.

    Returns:
        the files and their bytes.

    Raises:
        UsageError: ``target`` holds something, or an encoder is a pickle or too large to copy.
        ResourceError: the bundle cannot be written.
        MissingFileError, DataError, MismatchError: no whole checkpoint there, or not the encoders it was trained on.
    """
    if address := address_of(target):
        if MANIFEST in files_below(address):  # before the encoders are copied
            raise _taken(address)
        with tempfile.TemporaryDirectory(prefix="featstore-") as folder:
            made = Path(folder) / "bundle"
            files = write_bundle(fold_dir, made, encoders=encoders, with_encoders=with_encoders, licence=licence)
            _put(made, files, address.rstrip("/"))
        return files
    check_output_folder(target)
    target = behind_links(target)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UsageError(f"{target} is there already; choose another folder or remove it.")
    checkpoint = load_model(fold_dir)
    loaded = load_encoders(checkpoint, encoders)
    given = {spec.name: spec.path for spec in map(parse_spec, encoders)}
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # of an attempt that was cut short
    try:
        places = {
            encoder.name: _copy(encoder, given.get(encoder.name), partial) if with_encoders else None
            for encoder in loaded.values()
        }
        placed = {each: PlacedEncoder(loaded[each].identity, place) for each, place in places.items()}
        _describe(partial, checkpoint, fold_dir, placed, licence)
        with clear_errors(target):
            if target.exists():
                target.rmdir()
            partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return {path.relative_to(target).as_posix(): path.stat().st_size for path in _found(target)}


def _put(folder: Path, files: Mapping[str, int], address: str) -> None:
    """Put a bundle's files at an address, the manifest last.

    Raises:
        UsageError: something else is there.
        ResourceError: they cannot be written.
    """
    there = files_below(address)
    if MANIFEST in there or there.keys() - files.keys():
        raise _taken(address)
    for name in (*(name for name in files if name != MANIFEST), MANIFEST):
        upload(folder / name, f"{address}/{name}")


def _taken(address: str) -> UsageError:
    return UsageError(f"{address} is there already; choose another address or remove it.")


def _describe(
    folder: Path, checkpoint: AnyModel, fold_dir: Path, encoders: Mapping[str, PlacedEncoder], licence: str
) -> None:
    """Write the model, its scores if the fold has any, the card, and the manifest, which lists all files."""
    metrics = read_metrics(fold_dir) if (fold_dir / METRICS).exists() else None
    if isinstance(checkpoint, Checkpoint):
        trained = checkpoint.config  # where its teacher and its documents lay is nobody's business
        config = replace(trained, teacher=Path(trained.teacher).name, unlabelled=Path(trained.unlabelled).name)
        facts = save_checkpoint(folder, replace(checkpoint, corpus=checkpoint.corpus.without_path(), config=config))
    else:
        facts = copy_fitted(fold_dir, folder)
    if metrics is not None:
        write_file(folder / METRICS, to_json(metrics))
    places = {name: encoder.path for name, encoder in encoders.items()}
    write_file(folder / CARD, bundle_card(facts, metrics, places, licence).encode("utf-8"))
    manifest = BundleFacts(
        format=BUNDLE_VERSION,
        name=fold_dir.resolve().parent.name,
        fingerprint=checkpoint.fingerprint,
        licence=licence,
        encoders=encoders,
        files=_listed(folder),
    )
    write_file(folder / MANIFEST, to_json(manifest))


def read_bundle(folder: Path, device: str | None = None) -> Bundle:
    """Read a bundle, wherever it comes from.

    Args:
        folder: the bundle.
        device: that a system runs on which can choose one; None: the one that it was fitted on.

    Raises:
        MissingFileError: a file that is listed is not there.
        DataError: a manifest that is not one, a name that leads out of the folder, a file that is not listed among the
            encoders.
        MismatchError: a format that this version does not know, or a file that is not what the manifest says.
    """
    path, manifest = folder / MANIFEST, read_manifest(folder)
    for name, listed in manifest.files.items():
        _check_file(folder, name, listed)
    facts = read_run(folder)
    for name in (RUN, *([f"{MODEL}/{each}" for each in facts.system.files] if facts.system else [WEIGHTS])):
        if name not in manifest.files:
            raise DataError(f"{path} does not list {name}.")
    specs = {}
    for encoder, placed in manifest.encoders.items():
        place = placed.path
        if place is None:
            continue
        if not any(file == place or file.startswith(f"{place}/") for file in manifest.files):
            raise DataError(f"{path} says that {encoder} is at '{place}', but lists no file there.")
        specs[encoder] = f"{encoder}:{folder / place}"
    for found in _found(folder / ENCODERS):
        if found.relative_to(folder).as_posix() not in manifest.files:
            raise DataError(f"{found} is not listed in {MANIFEST}; remove it, or fetch the bundle again.")
    checkpoint = load_model(folder, device)
    if manifest.fingerprint != checkpoint.fingerprint:
        raise MismatchError(f"{path} is the manifest of another model; fetch the bundle again.")
    return Bundle(manifest.name, checkpoint, specs)


def _check_file(folder: Path, name: str, listed: ListedFile) -> None:
    """Check a file of a bundle against its line in the manifest."""
    if not _NAME.fullmatch(name) or not name.endswith(_SUFFIXES):
        raise DataError(
            f"{folder / MANIFEST} lists {name[:80]!r}; plain names below the folder that end in {', '.join(_SUFFIXES)} "
            "are allowed."
        )
    path = folder / name
    if any(part.is_symlink() for part in (path, *path.parents[: name.count("/")])):
        raise DataError(f"{path} is a symbolic link; a bundle holds files only.")
    if not path.is_file():
        raise MissingFileError(f"{path} does not exist, though {MANIFEST} lists it; fetch the bundle again.")
    if not _SHA256.fullmatch(listed.sha256):
        raise DataError(f"{folder / MANIFEST}: the sha256 of {name} is {listed.sha256[:80]!r}.")
    if path.stat().st_size != listed.bytes or file_sha256(path) != listed.sha256:
        raise MismatchError(f"{path} is not the file that {MANIFEST} lists (size or sha256); fetch the bundle again.")


def _found(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())


def _listed(folder: Path) -> dict[str, ListedFile]:
    return {
        path.relative_to(folder).as_posix(): ListedFile(path.stat().st_size, file_sha256(path))
        for path in _found(folder)
    }


def _copy(encoder: Encoder, given: str | None, partial: Path) -> str | None:
    """Copy the files that an encoder's identity names, and the card beside them.

    Args:
        encoder: the encoder.
        given: the PATH of its spec; None: it comes with featstore.
        partial: the bundle.

    Returns:
        what the spec must name, relative to the bundle: the file or the folder; None for an encoder that is
        installed as a package of its own.
    """
    wanted = set(weights_of(encoder).values())
    try:
        place = Path(given) if given else bundled(encoder.name)
    except MissingFileError:
        return None
    among = [place] if place.is_file() else sorted(path for path in place.iterdir() if path.is_file())
    files = [path for path in among if file_sha256(path) in wanted]
    if (size := sum(path.stat().st_size for path in files)) > LARGEST:
        raise UsageError(f"{encoder.name} has {size:,} bytes; --without-encoders names its identity only.")
    for path in files:
        if not path.name.endswith(_SUFFIXES):
            raise UsageError(
                f"{path} cannot go into a bundle, which holds no pickle; featurize and train with the model as "
                "safetensors, or name its identity only with --without-encoders."
            )
    relative = f"{ENCODERS}/{encoder.name}"
    make_folder(partial / relative)
    for path in [*files, *(path for path in among if path.name == CARD)]:
        with path.open("rb") as source, open_output(partial / relative / path.name) as copy:
            shutil.copyfileobj(source, copy)
    return f"{relative}/{place.name}" if place.is_file() else relative
