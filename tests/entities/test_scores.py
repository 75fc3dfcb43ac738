"""Mention scores on cases that can be counted by hand."""

import pytest

from classifier.entities.scores import score_mentions

GOLD = [(0, 5, "GENE"), (10, 20, "GENE"), (30, 40, "CHEMICAL")]


def test_exact_wants_the_same_characters_and_relaxed_one_of_them() -> None:
    found = [(0, 5, "GENE"), (12, 25, "GENE"), (30, 40, "GENE")]
    scores = score_mentions([GOLD], [found], ("CHEMICAL", "GENE"))
    gene = scores.exact["GENE"]
    assert (gene.annotated, gene.found, gene.right) == (2, 3, 1)
    assert gene.f1 == pytest.approx(0.4)
    relaxed = scores.relaxed["GENE"]
    assert (relaxed.right, relaxed.recalled) == (2, 2)
    assert relaxed.f1 == pytest.approx(0.8)
    assert scores.exact["CHEMICAL"].precision is None
    assert scores.exact["CHEMICAL"].f1 == 0
    assert scores.exact["all"].recall == pytest.approx(1 / 3)


def test_two_found_in_one_annotated_are_both_right_and_recall_it_once() -> None:
    relaxed = score_mentions([[(0, 10, "GENE")]], [[(0, 3, "GENE"), (5, 8, "GENE")]], ("GENE",)).relaxed["GENE"]
    assert (relaxed.right, relaxed.found, relaxed.recalled, relaxed.annotated) == (2, 2, 1, 1)


def test_documents_do_not_mix_and_other_types_do_not_count() -> None:
    scores = score_mentions([[(0, 5, "GENE")], []], [[], [(0, 5, "GENE"), (7, 9, "DISEASE")]], ("GENE",))
    assert (scores.exact["all"].right, scores.exact["all"].found) == (0, 1)
    assert score_mentions([[]], [[]], ("GENE",)).exact["all"].f1 is None
