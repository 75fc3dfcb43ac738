"""Between the JSON of the API and the records of the project."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from classifier.extract.extractor import Extractor
from classifier.extract.wanted import Extraction, Wanted
from classifier.serve.limits import Limits
from classifier.serve.schema import BadItem, ExtractRequest, GivenDocument, GivenMention, LabelInfo, ModelInfo
from classifier.serve.service import Answer, RequestedWork, Service
from featstore.documents import Document, Problem
from featstore.errors import DataError, UsageError
from featstore.formats import BadDocument, ModelFacts, jsonl
from featstore.formats.content import Flaw, check_text, make_document, make_entity
from featstore.labels import in_words
from featstore.types import shown


def work_of(request: ExtractRequest, service: Service, limits: Limits) -> RequestedWork:
    """Return what a request asks for, checked.

    Raises:
        UsageError: neither text nor documents, or both; an unknown model; more than the limits allow.
        DataError: a document that is not right; the text says which.
    """
    if (request.text is None) == (request.documents is None):
        raise UsageError("the request needs either 'text' or 'documents'.")
    given = request.documents if request.documents is not None else [GivenDocument(text=request.text or "")]
    if len(given) > limits.documents:
        raise UsageError(f"{len(given):,} documents were sent; at most {limits.documents:,} are taken in one request.")
    documents = tuple(document_of(each, limits) for each in given)
    wanted = Wanted(request.threshold, request.top, request.max_distance, request.explain)
    return RequestedWork(service.model(request.model), documents, wanted, request.tag)


def document_of(given: GivenDocument, limits: Limits) -> Document:
    """Return a document as the project has it.

    Raises:
        DataError: it is too long, or a mention is not right.
    """
    if len(given.text) > limits.document_characters:
        raise DataError(
            f"document '{given.id}' has {len(given.text):,} characters; at most {limits.document_characters:,} are "
            "taken."
        )
    try:
        text = check_text(given.text)
        entities = [
            make_entity(text, m.id, m.type, m.start, m.end, mention=m.text, concept=m.concept) for m in given.entities
        ]
        return make_document(given.id, text, entities)
    except Flaw as flaw:
        raise DataError(f"document '{given.id}': {flaw.why}") from flaw


def as_given(document: Document) -> GivenDocument:
    """Return a document as the API has it."""
    mentions = [
        GivenMention(id=e.id, type=e.type, start=e.start, end=e.end, text=e.text, concept=e.concept)
        for e in document.entities
    ]
    return GivenDocument(id=document.id, text=document.text, entities=mentions)


def answer_of(answer: Answer, facts: ModelFacts) -> dict[str, object]:
    """Return an answer as JSON data: each document is what ``cli extract --to jsonl`` writes as a line.

    What of them was left out is told beside them.
    """
    good = [found for found in answer if isinstance(found, Extraction)]
    bad = [{"id": b.id, "where": b.where, "why": b.why} for b in answer if isinstance(b, BadDocument)]
    problems = [item.model_dump() for found in good for item in problems_of(found.document.id, found.problems)]
    return {"documents": [json.loads(json_line(found, facts)) for found in good], "bad": bad, "problems": problems}


def problems_of(id_: str, problems: Sequence[Problem]) -> list[BadItem]:
    """Return what is wrong with a document that was processed all the same."""
    return [BadItem(id=id_, where=problem.place, why=problem.why) for problem in problems]


def json_line(found: Extraction, facts: ModelFacts) -> str:
    """Return a document with its relations as a line of JSON."""
    return jsonl.document(found.document, found.relations, facts, found.nothing)


def plain_errors(errors: Sequence[Any]) -> str:
    """Return what pydantic found wrong with a request as one line, without the values, which may be long or private."""
    return "; ".join(f"{'.'.join(map(str, error['loc'])) or 'the body'}: {error['msg']}" for error in errors) + "."


def model_info(name: str, extractor: Extractor) -> ModelInfo:
    """Return what the API says of a model."""
    checkpoint = extractor.checkpoint
    corpus = extractor.facts.corpus
    labels = [
        LabelInfo(name=label, meaning=in_words(label, corpus), positive=True)
        if label in checkpoint.positive
        else LabelInfo(name=label, meaning="no relation", positive=False)
        for label in checkpoint.labels
    ]
    kinds = checkpoint.pairing.kinds if checkpoint.pairing else ()
    return ModelInfo(
        name=name,
        fingerprint=checkpoint.fingerprint,
        pairs=[(shown(head), shown(tail)) for head, tail in kinds],
        labels=labels,
        features=[feature.name for feature in checkpoint.features],
        tags=extractor.tagging["mode"] != "never",
    )
