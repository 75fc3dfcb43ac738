"""The models behind the API: which documents are tagged; gathered requests do not disturb each other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from toy_model import WordEncoder, make_checkpoint
from toy_tagger import toy_tagger, train_toy, write_corpus

from classifier.extract.extractor import Extractor
from classifier.extract.tagging import Tagging
from classifier.extract.wanted import Extraction, Wanted
from classifier.serve.limits import Limits
from classifier.serve.service import RequestedWork, Service
from featstore.documents import Document, Entity

TEXT = "We saw the aspirin inhibits COX-2 in cells."
MARKED = Document("m", TEXT, (Entity("T1", "CHEMICAL", 7, 10, "the"), Entity("T2", "GENE", 37, 42, "cells")))
PLAIN = Document("p", TEXT, ())
DOCUMENTS = (PLAIN, MARKED, PLAIN)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("tagger")
    corpora = [write_corpus(folder / "chemicals", ("CHEMICAL",)), write_corpus(folder / "genes", ("GENE",), seed=2)]
    tagger = toy_tagger(train_toy(folder / "model", corpora, folder / "features"))
    extractor = Extractor(make_checkpoint(), {"words": WordEncoder()}, tagging=Tagging.by(tagger))
    made = Service({"toy": extractor}, Limits())
    yield made
    made.close()


def mentions(service: Service, mode: str) -> list[list[str]]:
    answer = service.submit(RequestedWork("toy", DOCUMENTS, Wanted(0.0), mode)).result(20)
    assert all(isinstance(found, Extraction) for found in answer)
    return [[e.text for e in found.document.entities] for found in answer if isinstance(found, Extraction)]


def test_the_mode_of_a_request_says_which_of_its_documents_are_tagged(service: Service) -> None:
    found, given = ["aspirin", "COX-2"], ["the", "cells"]
    assert mentions(service, "missing") == [found, given, found]
    assert mentions(service, "always") == [found, found, found]
    assert mentions(service, "never") == [[], given, []]


def test_a_document_that_gets_no_mentions_says_so(service: Service) -> None:
    answer = service.submit(RequestedWork("toy", (PLAIN,), Wanted(), "never")).result(20)
    assert isinstance(answer[0], Extraction)
    assert answer[0].nothing is not None
    assert answer[0].nothing.reason == "no mentions"


def test_gathered_requests_get_what_each_gets_alone(service: Service) -> None:
    works = [RequestedWork("toy", DOCUMENTS, Wanted(0.0), mode) for mode in ("missing", "always", "never")] * 3
    alone = [service.submit(work).result(20) for work in works]
    together = [future.result(20) for future in [service.submit(work) for work in works]]
    assert together == alone
