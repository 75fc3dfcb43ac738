"""Where a tagger lies, in a folder or at an address, and what is its own there.

In: the folder or the address, and the configuration. Out: whether it is free, a folder to work in, the card.
:mod:`classifier.runs.workplace` brings a tagger from its address and puts it there, as it does a fold of a run.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

from classifier.entities.card import tagger_card
from classifier.entities.config import TaggerConfig
from classifier.entities.facts import FACTS, METRICS, WEIGHTS, read_tagger, read_tested
from classifier.entities.filter_facts import FILTER_FACTS, FILTER_WEIGHTS, has_filter, read_filter
from classifier.runs.target import Target
from classifier.runs.workplace import working_at
from classifier.training.epoch import TellNotice, silent
from featstore.addresses import is_there, spelled
from featstore.errors import UsageError
from featstore.files import check_output_folder, write_file

CARD = "README.md"


def tagger_target(folder: Path, config: TaggerConfig) -> Target:
    """Return a tagger as what is worked on, in its folder or for its address."""
    return Target(
        name=f"the tagger in {spelled(folder)}",
        run_dir=folder,
        below="",
        config=json.dumps(asdict(without_places(config))),
        model=(WEIGHTS,),
        shared=(),
        early=(FACTS,),
        late=(CARD, FILTER_WEIGHTS, FILTER_FACTS, METRICS),
    )


@contextmanager
def trained_tagger_at(folder: Path, tell: TellNotice | None = None) -> Iterator[Path]:
    """Yield a folder with the files of a trained tagger; what is changed in it is put at the address at the end.

    Args:
        folder: the tagger's folder, which is yielded itself, or its address.
        tell: hears what the user should know.

    Raises:
        MissingFileError: there is no tagger.
        MismatchError: somebody else has written it in the meantime.
        ResourceError: the address cannot be reached, or this machine has no room.
    """
    with working_at(tagger_target(folder, read_tagger(folder).config), tell or silent) as work:
        work.bring()
        yield work.folder
        work.put()


def check_tagger_folder(folder: Path, config: TaggerConfig) -> None:
    """Make sure that a folder, or an address, is free or holds a tagger of this configuration.

    Raises:
        UsageError: it holds another; the text names what differs.
        ResourceError: nothing can be written there.
    """
    check_output_folder(folder, or_address=True)
    if not is_there(folder / FACTS):
        return
    kept = asdict(read_tagger(folder).config)
    pairs = [(name, kept[name], value) for name, value in asdict(without_places(config)).items()]
    differing = [f"{name} is {old!r} there and {new!r} now" for name, old, new in pairs if old != new]
    if differing:
        raise UsageError(
            f"{spelled(folder)} holds a tagger of another configuration: {'; '.join(differing)}. Choose another folder "
            "with --run, or remove this one."
        )


def without_places(config: TaggerConfig) -> TaggerConfig:
    """Return a configuration whose corpora are named without their paths, which are private."""
    return replace(config, corpora=tuple(spec.partition(":")[0] for spec in config.corpora))


def write_card(folder: Path) -> None:
    """Write the card of the tagger in a folder, with the figures that it has."""
    own_filter = read_filter(folder) if has_filter(folder) else None
    card = tagger_card(read_tagger(folder), read_tested(folder), own_filter)
    write_file(folder / CARD, card.encode("utf-8"))
