"""Compare two sets of evaluated folds with the test that the data allow.

In: what two runs, or two rows of an ablation, measured on one corpus. Out: a paired test
(:mod:`classifier.scores.significance`): the corrected t-test where they have several folds in common, approximate
randomisation where they have one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

from classifier.data.features import parse_features
from classifier.runs.results import FoldResult, read_predictions
from classifier.scores.significance import (
    Comparison,
    Scored,
    number_sentences,
    randomisation_test,
    resampled_t_test,
)
from featstore.errors import DataError, MismatchError, UsageError


def compare(
    first: Sequence[FoldResult],
    second: Sequence[FoldResult],
    sentence_of: Mapping[str, str],
    *,
    across_refit: bool = False,
) -> Comparison:
    """Compare two systems on the folds that both were evaluated on.

    Args:
        first, second: results of the two systems; several results of one fold are its seeds.
        sentence_of: the sentence of each test instance, by the instance's id.
        across_refit: compare also a system that was fitted on train and dev with one that was fitted on train alone.

    Raises:
        UsageError: they have no fold in common, or one of them was fitted on the dev part too.
        MismatchError: they belong to different versions of a corpus, or to different corpora.
    """
    check_one_corpus([*first, *second])
    if not across_refit:
        _check_same_training_part([*first, *second])
    folds = sorted({r.fold for r in first} & {r.fold for r in second})
    if not folds:
        raise UsageError(
            "the runs have no evaluated fold in common; evaluate the same fold of each (`cli eval --fold`)."
        )
    by_fold = [[[r for r in results if r.fold == fold] for results in (first, second)] for fold in folds]
    if len(folds) == 1:
        return _randomised(by_fold[0][0], by_fold[0][1], sentence_of)
    scores = [[fmean(map(f1, seeds)) for seeds in pair] for pair in by_fold]
    ratio = fmean(test_size(r) / (r.instances.train + r.instances.dev) for pair in by_fold for r in pair[0])
    return resampled_t_test([a for a, _ in scores], [b for _, b in scores], ratio)


def f1(result: FoldResult) -> float:
    """Return a fold's micro-F1.

    Raises:
        DataError: it is not defined: neither gold nor predicted labels are positive.
    """
    value = result.metrics.micro.f1
    if value is None:
        raise DataError(f"{result.folder}: F1 is not defined, as the test part has no positive instance.")
    return value


def test_size(result: FoldResult) -> int:
    """Return how many instances a fold was tested on."""
    return sum(map(sum, result.metrics.confusion))


def check_one_corpus(results: Sequence[FoldResult]) -> None:
    """Make sure that results are of one version of one corpus.

    Raises:
        MismatchError: they are not; the text names two.
    """
    _check_equal("corpus", [(f"{r.corpus.name} {r.corpus.digest}", r) for r in results])


def _check_same_training_part(results: Sequence[FoldResult]) -> None:
    refitted = [result for result in results if result.config.refit]
    plain = [result for result in results if not result.config.refit]
    if refitted and plain:
        raise UsageError(
            f"{refitted[0].folder} has learnt from the dev part too (--refit), and {plain[0].folder} has not: what "
            "differs between them may be the number of labels. Compare runs of one kind, or give --across-refit."
        )


def check_one_encoder(results: Sequence[FoldResult]) -> None:
    """Make sure that a word of ``--features``, or the label of another system, means one thing in all results.

    Raises:
        MismatchError: it does not; the text names two folders.
    """
    words: dict[str, list[tuple[str, FoldResult]]] = {}
    for result in results:
        if result.config.system:
            made_of = ", ".join(f"{name} {digest}" for name, digest in sorted(result.sources.items()))
            words.setdefault(result.config.label, []).append((made_of, result))
            continue
        for feature, spec in zip(parse_features(result.config.train.features), result.features, strict=True):
            words.setdefault(feature.set_name, []).append((f"{spec.identity} ({spec.dtype})", result))
    for word, found in words.items():
        _check_equal(f"encoder behind '{word}'", found)


def _check_equal(what: str, found: Sequence[tuple[str, FoldResult]]) -> None:
    (first, where), *others = found
    for value, result in others:
        if value != first:
            raise MismatchError(
                f"the {what} is not the same in {where.folder} ({first}) and in {result.folder} ({value}); they cannot "
                "be compared. Remove the older one and train it again, or keep the runs apart (--runs)."
            )


def _randomised(
    first: Sequence[FoldResult], second: Sequence[FoldResult], sentence_of: Mapping[str, str]
) -> Comparison:
    """Compare on one fold; the seeds of the two are paired in their order."""
    count = min(len(first), len(second))
    saved = [[read_predictions(result) for result in results[:count]] for results in (first, second)]
    ids = saved[0][0].ids
    if any(each.ids != ids for system in saved for each in system):
        raise MismatchError(f"{first[0].folder} and {second[0].folder} were evaluated on different instances.")
    sentences = number_sentences(ids, sentence_of)
    labels = first[0].metrics.labels
    positive = [labels.index(label) for label in first[0].metrics.positive]
    scored = [[Scored(each.gold, each.predicted) for each in system] for system in saved]
    return randomisation_test(scored[0], scored[1], positive, sentences)
