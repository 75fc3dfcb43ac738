"""Repairing a feature set with the encoder that made it.

In: a feature set, the sentences of a corpus, the encoder's spec. Out: damaged shards are set aside and just the
sentences that were lost with them are encoded again. Stores know no text, so the corpus has to be named. No encoder
makes a view; its rows are projected again from its source.
"""

from __future__ import annotations

from dataclasses import dataclass

from featstore.encoders import DEFAULT_OPTIONS, EncoderOptions, load_encoder
from featstore.errors import MismatchError
from featstore.featurize.encode import encode_missing
from featstore.progress import Progress
from featstore.records import KeyedSentences
from featstore.stores import open_store
from featstore.stores.maintenance.remake import is_view, remake
from featstore.stores.maintenance.verify import Repair, repair
from featstore.stores.sets import open_files


@dataclass(frozen=True, slots=True)
class Mended:
    """The result of a repair.

    Attributes:
        repair: the shards that were set aside, and the sentences that were lost with them.
        encoded: lost sentences that were encoded again.
        failed: lost sentences that memory had no room for.
        elsewhere: lost sentences that are not in the corpus; featurize their corpus to restore them.
    """

    repair: Repair
    encoded: int
    failed: int
    elsewhere: int


def mend(
    path: str,
    sentences: KeyedSentences,
    spec: str,
    *,
    dry_run: bool = False,
    progress: Progress | None = None,
    options: EncoderOptions = DEFAULT_OPTIONS,
) -> Mended:
    """Set damaged shards aside and encode their sentences again.

    Args:
        path: the feature set.
        sentences: the sentences among which the tokens of lost ones are looked up.
        spec: the encoder that made the set; of no account for a view.
        dry_run: only say what would be done.
        progress: called with (sentences encoded, sentences to encode).
        options: how the encoder computes.

    Raises:
        MismatchError: the encoder is not the one that made the set, or the source of a view holds other rows than
            when it was made; nothing was touched.
        MissingFeatureError: the source of a view is not in its store.
        ResourceError: no room, or no right, to write.
    """
    if is_view(open_files(path).meta):
        made = remake(path, dry_run=dry_run, progress=progress)
        return Mended(made.repair, 0 if dry_run else made.remade, 0, made.absent)
    encoder = load_encoder(spec, device=options.device, precision=options.precision)
    store = open_store(path)
    try:
        if store.meta.identity != encoder.identity:
            raise MismatchError(
                f"{path} was made by {store.meta.name} {store.meta.identity[:16]}, '{spec}' is "
                f"{encoder.identity[:16]}; name the encoder that made it."
            )
        repaired = repair(path, dry_run=dry_run)
        lost = {key: sentences[key] for key in repaired.lost if key in sentences}
        failed: list[bytes] = []
        if not dry_run:
            store.refresh()
            failed = encode_missing(lost, encoder, store, progress=progress)
    finally:
        store.close()
    encoded = 0 if dry_run else len(lost) - len(failed)
    return Mended(repaired, encoded, len(failed), len(repaired.lost) - len(lost))
