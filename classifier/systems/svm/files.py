"""The files of a fitted ensemble: JSON for words and facts, safetensors for numbers; no pickle.

In: what an :class:`~classifier.systems.svm.ensemble.SvmEnsemble` consists of. Out: ``features.json`` (the vocabulary),
``members.json`` (what each member reads) and ``arrays.safetensors``, and the same back. The support vectors of all
members are kept together, each once, as the numbers of the columns that they have.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays
from scipy import sparse

from classifier.systems.svm.features import FAMILIES
from classifier.systems.svm.members import (
    FittedMember,
    KernelMachine,
    LinearMachine,
    Machine,
    SvmMember,
    columns_of,
)
from classifier.systems.svm.space import Matrix, Space, SpaceRows
from featstore.errors import DataError
from featstore.files import write_file
from featstore.plain import from_plain

VOCABULARY, FACTS, ARRAYS = "features.json", "members.json", "arrays.safetensors"
Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class Saved:
    """What the files hold; see :class:`~classifier.systems.svm.ensemble.SvmEnsemble`."""

    space: Space
    members: tuple[FittedMember, ...]
    shifts: Matrix


@dataclass(frozen=True, slots=True)
class _MemberFacts:
    """What ``members.json`` holds of a member; see :class:`~classifier.systems.svm.ensemble.FittedMember`."""

    name: str
    member: SvmMember
    cost: float


def write_files(folder: Path, ensemble: Saved) -> None:
    """Write an ensemble into a folder."""
    kernels = [m.machine for m in ensemble.members if isinstance(m.machine, KernelMachine)]
    arrays: dict[str, NDArray[Any]] = {
        "mean": ensemble.space.mean,
        "deviation": ensemble.space.deviation,
        "shifts": ensemble.shifts,
    }
    union = np.unique(np.concatenate([np.zeros(0, np.int64), *(machine.support for machine in kernels)]))
    for fitted in ensemble.members:
        machine = fitted.machine
        named: dict[str, NDArray[Any]] = {"biases": machine.biases, "sigmoids": fitted.sigmoids}
        if isinstance(machine, LinearMachine):
            named["weights"] = machine.weights
        else:
            named |= {"coefficients": machine.coefficients, "support": np.searchsorted(union, machine.support)}
        arrays |= {f"{fitted.name}.{name}": array for name, array in named.items()}
    if kernels:
        arrays |= _rows_arrays(kernels[0].vectors.take(union))
    facts = [asdict(_MemberFacts(fitted.name, fitted.member, fitted.cost)) for fitted in ensemble.members]
    vocabulary = dict(zip(FAMILIES, ensemble.space.vocabulary, strict=True))
    write_file(folder / VOCABULARY, _json(vocabulary))
    write_file(folder / FACTS, _json(facts))
    write_file(folder / ARRAYS, save_arrays({name: np.ascontiguousarray(array) for name, array in arrays.items()}))


def read_files(folder: Path, labels: int) -> Saved:
    """Read what :func:`write_files` wrote, for so many labels.

    Raises:
        DataError: it is not as it was written.
    """
    try:
        vocabulary = from_plain(dict[str, tuple[str, ...]], _parsed(folder / VOCABULARY), VOCABULARY)
        facts = from_plain(tuple[_MemberFacts, ...], _parsed(folder / FACTS), FACTS)
        arrays = load_arrays((folder / ARRAYS).read_bytes())
        mean = arrays["mean"]
        space = Space(tuple(vocabulary[family] for family in FAMILIES), mean, _sized(arrays["deviation"], *mean.shape))
        rows = _rows(arrays, space) if "rows.parts" in arrays else None
        members = tuple(_member(each, arrays, space, rows, labels) for each in facts)
        return Saved(space, members, _sized(arrays["shifts"], labels))
    except (OSError, KeyError, ValueError, IndexError, SafetensorError) as error:
        raise DataError(f"{folder} does not hold SVMs as they were written ({error}); train again.") from error


def _member(facts: _MemberFacts, arrays: Arrays, space: Space, rows: SpaceRows | None, labels: int) -> FittedMember:
    """Return a member; its arrays are checked to fit each other and the space."""
    machines, name = (labels if labels > 2 else 1), facts.name
    biases = _sized(arrays[f"{name}.biases"], machines)
    machine: Machine
    if f"{name}.weights" in arrays:
        machine = LinearMachine(_sized(arrays[f"{name}.weights"], machines, columns_of(facts.member, space)), biases)
    elif rows is None:
        raise ValueError(f"the support vectors of '{name}' are missing")
    else:
        support = arrays[f"{name}.support"]
        if len(support) and not 0 <= support.min() <= support.max() < len(rows):
            raise ValueError(f"'{name}' has support vectors that are not there")
        coefficients = _sized(arrays[f"{name}.coefficients"], machines, len(support))
        machine = KernelMachine(support, rows, coefficients, biases)
    return FittedMember(name, facts.member, facts.cost, machine, _sized(arrays[f"{name}.sigmoids"], machines, 2))


def _rows_arrays(rows: SpaceRows) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {"rows.parts": rows.parts}
    for name, matrix in zip(FAMILIES, rows.families, strict=True):
        arrays |= {f"rows.{name}.columns": matrix.indices, f"rows.{name}.offsets": matrix.indptr}
    return arrays


def _rows(arrays: Arrays, space: Space) -> SpaceRows:
    """Return the shared support vectors, checked to lie in the space."""
    parts = arrays["rows.parts"]
    families = []
    for name, vocabulary in zip(FAMILIES, space.vocabulary, strict=True):
        columns, offsets = arrays[f"rows.{name}.columns"], arrays[f"rows.{name}.offsets"]
        matrix = sparse.csr_matrix((np.ones(len(columns)), columns, offsets), shape=(len(parts), len(vocabulary)))
        matrix.check_format(full_check=True)
        families.append(matrix)
    return SpaceRows(tuple(families), _sized(parts, len(parts), *space.mean.shape))


def _sized(array: NDArray[Any], *shape: int) -> NDArray[Any]:
    """Return an array if it has this shape and holds finite numbers."""
    if array.shape != shape or not np.isfinite(array).all():
        raise ValueError(f"an array of shape {array.shape} is not one of {shape} with finite numbers")
    return array


def _json(plain: object) -> bytes:
    return json.dumps(plain, ensure_ascii=False, indent=1).encode("utf-8", "surrogatepass")


def _parsed(path: Path) -> object:
    return json.loads(path.read_bytes().decode("utf-8", "surrogatepass"))
