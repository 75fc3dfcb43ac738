"""The vectors that a head reads: the words of ``--features`` and the feature sets that they name.

In: text such as ``glove+cse+elmo[avg]`` and the root of a store. Out: one open feature set for each word, which
holds every sentence that is needed. Layers are a choice at reading time: ``elmo`` learns the mix of all layers
in the head, ``elmo[top]`` takes the last, ``elmo[avg]`` their mean, ``elmo[0]`` one of them, and ``elmo[1,2]`` learns
the mix of some. A set of ``bert`` may hold some of the model's layers; they keep the model's numbers. ``NAME@ID`` picks
among several sets of a name by the beginning of the encoder's identity.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from featstore.errors import MismatchError, MissingFeatureError, UsageError, did_you_mean
from featstore.stores import FeatureMeta, FeatureStore, SetInfo, list_sets, look_up

MIX, TOP, AVERAGE = "mix", "top", "avg"
_VIEW = re.compile(r"(?P<source>.+)-(?P<method>pca|random)(?P<dims>\d+)")  # as `cli store view` names them
_WORD = re.compile(r"(?P<name>[A-Za-z][\w-]*)(@(?P<prefix>[0-9a-f]+))?(\[(?P<layer>[\w,]+)\])?")
_NUMBERS = re.compile(r"\d+(,\d+)*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Feature:
    """One word of ``--features``.

    Attributes:
        name: the encoder's name.
        layer: ``mix``, ``top``, ``avg``, the number of a layer, or those of several that are mixed (``2,4,6``).
        prefix: first digits of the encoder's identity; empty for any.
    """

    name: str
    layer: str = MIX
    prefix: str = ""

    def __str__(self) -> str:
        return self.set_name + ("" if self.layer == MIX else f"[{self.layer}]")

    @property
    def set_name(self) -> str:
        """``NAME`` or ``NAME@ID``."""
        return f"{self.name}@{self.prefix}" if self.prefix else self.name


@dataclass(frozen=True, slots=True)
class FeatureSpec:
    """One feature as a head reads it, which a checkpoint needs to find it again.

    Attributes:
        name: the encoder's name.
        identity: the encoder's identity.
        dtype: number type of the stored vectors.
        layer: ``mix``, ``top``, ``avg``, the number of a layer, or those of several (``2,4,6``).
        layers: number of layers that the head receives; it mixes them if there are several.
        dim: width of one layer.
    """

    name: str
    identity: str
    dtype: str
    layer: str
    layers: int
    dim: int


def parse_features(text: str) -> tuple[Feature, ...]:
    """Read ``A+B[layer]+C@ID``.

    Raises:
        UsageError: a word is not a feature, a layer choice is unknown, or a feature is named twice.
    """
    features = []
    for word in text.split("+"):
        match = _WORD.fullmatch(word.strip())
        if not match:
            raise UsageError(
                f"'{word.strip()}' in --features '{text}' is not a feature; write names joined by '+', each with an "
                "optional layer, for instance glove+cse+elmo[avg], or NAME@ID[layer] to choose one of several sets."
            )
        layer = match["layer"] or MIX
        if layer not in (MIX, TOP, AVERAGE) and not _NUMBERS.fullmatch(layer):
            raise UsageError(
                f"the layer choice in '{word.strip()}' is unknown; write {match['name']} (learned mix), "
                f"{match['name']}[top], {match['name']}[avg], {match['name']}[0], or {match['name']}[1,2] (learned mix "
                f"of these).{did_you_mean(layer, (TOP, AVERAGE))}"
            )
        features.append(Feature(match["name"], layer, match["prefix"] or ""))
    if len(set(features)) < len(features):
        raise UsageError(f"--features '{text}' names a feature twice; name each once.")
    return tuple(features)


def feature_spec(feature: Feature, meta: FeatureMeta) -> FeatureSpec:
    """Return what a head reads when ``feature`` is served from a set with ``meta``.

    Raises:
        UsageError: the set has no such layer.
    """
    places = layer_places(feature.layer, meta)
    return FeatureSpec(
        name=meta.name,
        identity=meta.identity,
        dtype=meta.dtype,
        layer=feature.layer,
        layers=1 if places is None else len(places),
        dim=meta.dim // meta.layers,
    )


def layer_places(layer: str, meta: FeatureMeta) -> tuple[int, ...] | None:
    """Return which of a set's layers, by their place in its columns, a choice takes; None for the mean of all.

    Raises:
        UsageError: the set has no such layer, or the choice names one twice.
    """
    if layer == AVERAGE:
        return None
    stored = stored_layers(meta)
    if layer in (MIX, TOP):
        return tuple(range(meta.layers)) if layer == MIX else (meta.layers - 1,)
    numbers = [int(number) for number in layer.split(",")]
    if missing := [number for number in numbers if number not in stored]:
        holds = "layer" if len(stored) == 1 else "layers"
        raise UsageError(
            f"{meta.name}[{layer}] reads layer {missing[0]}; the store holds {holds} {', '.join(map(str, stored))} of "
            f"{meta.name}."
        )
    if len(set(numbers)) < len(numbers):
        raise UsageError(f"{meta.name}[{layer}] names a layer twice; name each once.")
    return tuple(stored.index(number) for number in numbers)


def stored_layers(meta: FeatureMeta) -> tuple[int, ...]:
    """Return the numbers of a set's layers: those that the encoder's facts give them, or 0, 1, .."""
    named = meta.facts.get("layers")
    return tuple(named) if isinstance(named, list | tuple) else tuple(range(meta.layers))


@contextmanager
def open_features(
    features: Sequence[Feature],
    root: str | Path,
    keys: Sequence[bytes],
    command: str,
    trained_on: Sequence[FeatureSpec] | None = None,
) -> Iterator[list[FeatureStore]]:
    """Open one set for each feature, such that it holds all ``keys``; they are closed at the end.

    Args:
        features: as :func:`parse_features` gives them.
        root: the store.
        keys: of the sentences that will be read.
        command: ``cli featurize`` with the options that would make the vectors, without ``--encoders``.
        trained_on: what a head was trained on, one for each feature: only sets of the same encoder and dtype will do.

    Raises:
        MissingFeatureError: no set of that name, or none that holds all keys; the text gives the command.
        MismatchError: there are sets of that name, but not of what the head was trained on.
        UsageError: the sets of several encoders would serve; the text lists them.
    """
    wanted: Sequence[FeatureSpec | None] = trained_on or [None] * len(features)
    with ExitStack() as stack:
        yield [
            stack.enter_context(closing(_open(feature, spec, root, keys, command)))
            for feature, spec in zip(features, wanted, strict=True)
        ]


def _open(
    feature: Feature, wanted: FeatureSpec | None, root: str | Path, keys: Sequence[bytes], command: str
) -> FeatureStore:
    found = look_up(root, feature.set_name)
    fitting = [s for s in found if _serves(feature, wanted, s.info.meta)]
    if wanted and found and not fitting:
        raise MismatchError(
            f"the head was trained on {_named(wanted)}, but {root} holds only "
            f"{', '.join(_set_named(s.info.meta) for s in found)}; make the vectors it was trained on, or train again."
        )
    if found and not fitting:
        feature_spec(feature, found[0].info.meta)  # raises, for no set has the layer
    whole: list[tuple[SetInfo, FeatureStore]] = []
    fewest = len(keys)
    for candidate in fitting:
        with closing(candidate.open()) as store:
            missing = len(store.missing(keys))
        fewest = min(fewest, missing)
        if not missing:
            whole.append((candidate.info, store))
    if not whole:
        make = _command(feature.name, root, command)
        if found:
            lacks = f"lacks {fewest:,} of the {len(keys):,} sentences of the feature '{feature.set_name}'"
            raise MissingFeatureError(f"{root} {lacks}; make them with: {make}")
        names = sorted({s.meta.name for s in list_sets(root)})
        holds = f"holds only {', '.join(names)}" if names else "is empty"
        guess = did_you_mean(feature.name, names)
        raise MissingFeatureError(
            f"{root} {holds}: nothing of the feature '{feature.set_name}'.{guess} Make it with: {make}"
        )
    if len({s.meta.identity for s, _ in whole}) > 1:
        listed = ", ".join(f"{s.meta.name}@{s.meta.identity[:8]} ({s.path})" for s, _ in whole)
        raise UsageError(f"sets of several '{feature.set_name}' encoders hold these sentences; name one: {listed}.")
    # If the same encoder is stored twice, the more precise set is used.
    _, chosen = min(whole, key=lambda found: (found[0].meta.dtype != "float32", str(found[0].path)))
    return chosen


def _serves(feature: Feature, wanted: FeatureSpec | None, meta: FeatureMeta) -> bool:
    """Return whether a set has the layers of a feature and is what the head was trained on, if that is given."""
    try:
        spec = feature_spec(feature, meta)
    except UsageError:
        return False
    return wanted is None or spec == wanted


def encoder_of(name: str) -> str:
    """Return the name of the encoder that a feature comes from: its own, or that of a view's source."""
    view = _VIEW.fullmatch(name)
    return view["source"] if view else name


def _command(name: str, root: str | Path, featurize: str) -> str:
    """Return the command that makes the vectors of a feature; a view takes two."""
    view, encoder = _VIEW.fullmatch(name), encoder_of(name)
    made = featurize.replace("cli featurize", f"cli featurize --encoders {encoder}", 1)
    if view is None:
        return made
    options = ["--dims", view["dims"], "--method", view["method"], "--store", str(root)]
    return f"{made} && {shlex.join(['cli', 'store', 'view', encoder, *options])}"


def _named(spec: FeatureSpec) -> str:
    return f"{spec.name}@{spec.identity[:12]} ({spec.dtype}, {spec.layers} x {spec.dim} columns)"


def _set_named(meta: FeatureMeta) -> str:
    return f"{meta.name}@{meta.identity[:12]} ({meta.dtype}, {meta.layers} x {meta.dim // meta.layers} columns)"
