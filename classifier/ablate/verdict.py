"""The findings of an ablation, in sentences.

In: an :class:`~classifier.ablate.ablation.Ablation`. Out: which row is best, by how much, and whether it is chance.
"""

from __future__ import annotations

from classifier.ablate.ablation import Ablation, RowResult
from classifier.ablate.words import best_row, every_result, interval, names, no_power
from classifier.scores.percent import percent
from featstore.errors import count_of

SIGNIFICANT = 0.05


def verdict(ablation: Ablation) -> list[str]:
    """Return the findings in sentences."""
    called, best = names(ablation), best_row(ablation)
    results = every_result(ablation)
    folds, seeds = len({r.fold for r in results}), len({r.config.seed for r in results})
    within = f" (95 % interval {interval(best)})" if best.interval else ""
    said = [
        f"{called[best.row]} has the highest mean F1, {percent(best.summary.f1)}{within}, over "
        f"{count_of(folds, 'fold')} and {count_of(seeds, 'seed')}."
    ]
    said += _significance(ablation, best)
    near = best.without_near
    if near.left_out and near.f1 is not None and best.summary.f1 is not None:
        said.append(
            f"{100 * near.left_out:.1f} % of its test instances have a near twin in the training part; without them "
            f"F1 is {percent(near.f1)} ({percent(near.f1 - best.summary.f1, signed=True)})."
        )
    if ablation.failed:
        verb = "is" if len(ablation.failed) == 1 else "are"
        said.append(f"{count_of(len(ablation.failed), 'cell')} failed and {verb} left out of every figure.")
    return said


def _significance(ablation: Ablation, best: RowResult) -> list[str]:
    """Return a sentence on whether the lead of the best row is more than chance, if there is a test of it."""
    rivals = [t for t in ablation.tests if best.row in (t.first, t.second)]
    if not rivals:
        return []
    if said := no_power(ablation):
        return [said]
    beaten = [t for t in rivals if t.p_holm is not None and t.p_holm < SIGNIFICANT]
    whom = f"{len(beaten) or 'none'} of the {len(rivals)} other rows" if len(rivals) > 1 else "the other row"
    verb = "differs" if beaten or len(rivals) > 1 else "does not differ"
    return [f"It {verb} significantly from {whom} (p < {SIGNIFICANT} after Holm's adjustment)."]
