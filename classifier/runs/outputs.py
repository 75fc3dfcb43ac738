"""Predictions as files that others read.

In: instances and what a head says of them. Out: tab-separated text: all probabilities, or the format of the
ChemProt evaluation kit.
"""

from __future__ import annotations

from collections.abc import Sequence

from classifier.training.predictions import Predictions
from featstore.errors import DataError
from featstore.records import Instance


def predictions_tsv(instances: Sequence[Instance], predictions: Predictions, labels: Sequence[str]) -> str:
    """Return a header and one line an instance: id, gold label (empty if none), predicted label, probabilities."""
    lines = ["\t".join(["id", "gold", "predicted", *(f"p({label})" for label in labels)])]
    for instance, number, row in zip(instances, predictions.labels, predictions.probabilities, strict=True):
        fields = [instance.id, instance.label or "", labels[number], *(f"{p:.6f}" for p in row)]
        lines.append("\t".join(fields))
    return "\n".join(lines) + "\n"


def chemprot_tsv(
    instances: Sequence[Instance], predictions: Predictions, labels: Sequence[str], positive: Sequence[str]
) -> str:
    """Return the positive predictions in the ChemProt evaluation kit's format: no header,
    ``pmid<TAB>CPR:n<TAB>Arg1:Tn<TAB>Arg2:Tm``.

    Raises:
        DataError: an instance whose source does not say its pmid, head and tail.
    """
    lines = []
    for instance, number in zip(instances, predictions.labels, strict=True):
        if labels[number] not in positive:
            continue
        try:
            pmid, head, tail = (instance.source[key] for key in ("pmid", "head", "tail"))
        except KeyError as error:
            raise DataError(
                f"instance '{instance.id}' has no {error} in its source; the ChemProt format needs pmid, head and tail."
            ) from error
        lines.append(f"{pmid}\t{labels[number]}\tArg1:{head}\tArg2:{tail}\n")
    return "".join(lines)
