"""Documents to relations: which pairs, in which order, with what probability, in bounded memory."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from toy_model import LABELS, WordEncoder, make_checkpoint, make_document, make_extractor

import classifier
from classifier.extract.candidates import LONGEST
from classifier.extract.extractor import Extractor
from classifier.extract.wanted import Extraction, Wanted
from classifier.extract.work import WINDOW_DOCUMENTS
from featstore.corpora import load_corpus
from featstore.corpora.mark import Marking
from featstore.corpora.pairs import PairTypes, instances_from_documents
from featstore.documents import Document, Entity
from featstore.errors import DataError, MismatchError, UsageError
from featstore.formats import BadDocument
from featstore.pairing import pairing_of

TEXT = "Aspirin blocks COX-2 and Akt in rats. Caffeine does not."
ENTITIES = [(0, 7, "CHEMICAL"), (15, 20, "GENE-Y"), (25, 28, "gene"), (38, 46, "Chemical"), (32, 36, "SPECIES")]
ALL = Wanted(threshold=0.0)


def test_the_front_is_cheap_to_import() -> None:
    code = "import sys, classifier; assert not {'torch', 'numpy'} & set(sys.modules); "
    code += "classifier.Extractor; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert classifier.Extractor is Extractor


def test_candidates_are_all_pairs_of_the_known_types_in_one_sentence() -> None:
    found = make_extractor().extract(TEXT, ENTITIES, threshold=0.0)
    assert [(r.head.text, r.tail.text) for r in found] == [("Aspirin", "COX-2"), ("Aspirin", "Akt")]
    for relation in found:
        assert TEXT[slice(*relation.sentence)] == "Aspirin blocks COX-2 and Akt in rats."
        assert relation.label in LABELS[1:]
        assert relation.probability == relation.probabilities[relation.label]
        assert sum(relation.probabilities.values()) == pytest.approx(1)
        assert relation.attention == ()
    assert make_extractor().extract(TEXT, ENTITIES[3:]) == []
    assert make_extractor().extract("", []) == []


@pytest.mark.parametrize("context", ["tagged", "sentence"])
@pytest.mark.parametrize("mention_states", [False, True])
def test_a_pair_gets_what_the_head_says_of_it_alone(context: str, mention_states: bool) -> None:
    extractor = make_extractor(context=context, mention_states=mention_states)
    documents = [make_document(n, pairs=1 + n % 4) for n in range(30)]
    types = PairTypes(frozenset({"CHEMICAL"}), frozenset({"GENE-Y"}))
    for document, result in zip(documents, extractor.extract_documents(documents, ALL), strict=True):
        assert isinstance(result, Extraction)
        assert result.document is document
        alone = [
            extractor.classify([instance]).probabilities[0]
            for instance in instances_from_documents([document], types, Marking("tags", context), [])
        ]
        assert len(alone) == result.pairs
        given = [list(relation.probabilities.values()) for relation in result.relations]
        np.testing.assert_allclose(given, alone, atol=1e-6)


def test_threshold_and_top_and_distance() -> None:
    extractor, document = make_extractor(), make_document(1, pairs=8)

    def relations(**options: object) -> tuple[object, ...]:
        (result,) = extractor.extract_documents([document], Wanted(**options))  # type: ignore[arg-type]
        assert isinstance(result, Extraction)
        return result.relations

    every = relations(threshold=0.0)
    assert len(every) == 8
    likely = [r for r in every if r.probability == max(r.probabilities.values())]  # type: ignore[attr-defined]
    assert relations() == tuple(likely)
    least = sorted(r.probability for r in every)[3]  # type: ignore[attr-defined]
    assert relations(threshold=least) == tuple(r for r in every if r.probability >= least)  # type: ignore[attr-defined]
    best = sorted(every, key=lambda r: -r.probability)[:3]  # type: ignore[attr-defined]
    assert relations(threshold=0.0, top=3) == tuple(r for r in every if r in best)
    assert len(relations(threshold=0.0, max_distance=3)) == 8  # inhibits the kinase
    assert relations(threshold=0.0, max_distance=2) == ()
    for options in ({"threshold": 1.1}, {"top": 0}, {"max_distance": -1}, {"threshold": float("nan")}):
        with pytest.raises(UsageError, match="must satisfy"):
            Wanted(**options)


@pytest.mark.parametrize(
    ("context", "indicators", "words"),
    [
        ("sentence", "tags", {}),
        ("tagged", "tags", {}),
        ("tagged", "tags", {"chem": "@CHEMICAL$", "gene": "@GENE$"}),
    ],
)
def test_attention_is_told_in_characters_of_the_text(context: str, indicators: str, words: dict[str, str]) -> None:
    text = "A 𝛼-toxin, aspirin, was seen to block naïve COX-2."
    spans = [(11, 18, "CHEMICAL"), (44, 49, "GENE")]
    extractor = make_extractor(context=context, indicators=indicators, words=words)
    (relation,) = extractor.extract(text, spans, threshold=0.0, explain=True)
    assert all(0 <= start < end <= len(text) for start, end, _ in relation.attention)
    assert [a[0] for a in relation.attention] == sorted(a[0] for a in relation.attention)
    said = [text[start:end] for start, end, _ in relation.attention]
    mentions = ["COX-2"] if words else ["COX", "-", "2"]
    assert said == ["A", "𝛼", "-", "toxin", ",", "aspirin", ",", "was", "seen", "to", "block", "naïve", *mentions, "."]
    assert 0 < sum(weight for *_, weight in relation.attention) < 1  # the tags have the rest


def test_overlapping_and_nested_entities() -> None:
    text = "The estrogen receptor alpha binds estrogen."
    spans = [(4, 12, "CHEMICAL"), (4, 21, "GENE-N"), (13, 27, "GENE-Y"), (4, 12, "GENE-Y"), (34, 42, "CHEMICAL")]
    found = make_extractor().extract(text, spans, threshold=0.0, max_distance=0)
    assert [(r.head.id, r.tail.id) for r in found] == [("T1", "T2"), ("T1", "T3"), ("T1", "T4")]
    assert len({tuple(r.probabilities.values()) for r in found}) == 3
    assert len(make_extractor().extract(text, spans, threshold=0.0)) == 6


def test_types_that_are_head_and_tail_make_each_pair_once() -> None:
    found = make_extractor(kinds=(("gene", "gene"),)).extract(TEXT, ENTITIES, threshold=0.0)
    assert [(r.head.text, r.tail.text) for r in found] == [("COX-2", "Akt")]


def test_a_model_of_masked_text_sees_masked_text() -> None:
    seen: list[Sequence[str]] = []
    masked = make_extractor(WordEncoder(seen.extend), context="tagged", words={"chem": "@CHEMICAL$", "gene": "@GENE$"})
    (relation,) = masked.extract("Naïve aspirin blocks COX-2.", [(6, 13, "CHEMICAL"), (21, 26, "GENE")], threshold=0.0)
    assert seen == [("Naïve", "<chem>", "@CHEMICAL$", "</chem>", "blocks", "<gene>", "@GENE$", "</gene>", ".")]
    assert (relation.head.text, relation.tail.text) == ("aspirin", "COX-2")


@pytest.mark.parametrize("context", ["tagged", "sentence"])
def test_a_blind_model_sees_what_its_corpus_showed(context: str) -> None:
    corpus = load_corpus("sample:chemprot", indicators="blind", context=context)
    pairing = pairing_of(corpus.instances, "blind")
    assert pairing.words == {}
    seen: list[Sequence[str]] = []
    blind = make_extractor(WordEncoder(seen.extend), context=context, indicators="blind", words=pairing.words)
    found = blind.extract(TEXT, ENTITIES, threshold=0.0)
    assert [(r.head.text, r.tail.text) for r in found] == [("Aspirin", "COX-2"), ("Aspirin", "Akt")]
    shown = [" ".join(tokens) for tokens in seen]
    if context == "sentence":
        assert shown == ["chemical blocks gene and gene in rats ."]
    else:
        chemical = "<chem> chemical </chem> blocks "
        genes = {"<gene> gene </gene> and gene", "gene and <gene> gene </gene>"}
        assert set(shown) == {f"{chemical}{pair} in rats ." for pair in genes}
    assert found[0].probabilities != found[1].probabilities


def test_pairing_is_read_off_the_instances() -> None:
    gad, chemprot = (load_corpus(name).instances for name in ("sample", "sample:chemprot"))
    assert pairing_of(gad, "tags").kinds == (("gene", "dise"),)
    assert pairing_of(gad, "tags").words == {"dise": "@DISEASE$", "gene": "@GENE$"}
    assert pairing_of(chemprot, "tags").words == {}
    for context in ("tagged", "sentence"):
        replaced = load_corpus("sample:chemprot", indicators="replace", context=context).instances
        assert pairing_of(replaced, "replace").kinds == (("chem", "gene"),)
        assert pairing_of(replaced, "replace").words == {"chem": "bc6entc", "gene": "bc6entg"}


def test_a_sentence_is_encoded_once_for_all_its_pairs() -> None:
    spans = [(0, 7, "CHEMICAL"), (15, 20, "GENE"), (25, 28, "GENE")]
    for context, times in (("sentence", 1), ("tagged", 2)):
        seen: list[Sequence[str]] = []
        assert len(make_extractor(WordEncoder(seen.extend), context=context).extract(TEXT, spans, threshold=0.0)) == 2
        assert len(seen) == times


def test_a_store_remembers_repeated_text(tmp_path: Path) -> None:
    documents = [make_document(n) for n in range(5)]
    plain = list(make_extractor().extract_documents(documents, ALL))
    for times in (5, 0):
        seen: list[Sequence[str]] = []
        extractor = make_extractor(WordEncoder(seen.extend), tmp_path)
        assert list(extractor.extract_documents(documents, ALL)) == plain
        assert len(seen) == times


def test_bad_documents_stay_in_their_place() -> None:
    empty = Document("empty", "", ())
    wordless = Document(
        "wordless", "aspirin and \u00ad.", (_entity("T1", 0, 7), _entity("T2", 12, 13, "GENE", "\u00ad"))
    )
    endless = "aspirin " * (LONGEST + 1)
    long = Document("long", endless, (_entity("T1", 0, 7), _entity("T2", 8, 15, "GENE", "aspirin")))
    unread = BadDocument("7", "file, line 3", "not JSON")
    given: list[Document | BadDocument] = [make_document(1), wordless, unread, empty, long, make_document(2)]
    found = list(make_extractor().extract_documents(given, ALL))
    assert found[2] is unread
    kept = [each for each in found if isinstance(each, Extraction)]
    assert [each.document.id for each in kept] == ["1", "wordless", "empty", "long", "2"]
    problems = [[problem.text for problem in each.problems] for each in kept]
    assert problems == [
        [],
        ["the entity T2 at characters 12-13 holds no word."],
        [],
        ["the sentence at characters 0-65543 has 8,193 tokens, at most 8,192 are read; a line break ends a sentence."],
        [],
    ]
    with pytest.raises(DataError, match="holds no word"):
        make_extractor().extract(wordless.text, wordless.entities)
    with pytest.raises(DataError, match="outside of the text of 56 characters"):
        make_extractor().extract(TEXT, [(50, 57, "GENE")])


def test_a_sentence_that_memory_has_no_room_for() -> None:
    def scarce(batch: Sequence[Sequence[str]]) -> None:
        if any("drug2" in tokens for tokens in batch):
            raise MemoryError

    extractor = make_extractor(WordEncoder(scarce))
    found = list(extractor.extract_documents([make_document(n) for n in range(4)], ALL))
    assert [isinstance(each, BadDocument) for each in found] == [False, False, True, False]
    assert "memory has no room" in found[2].why  # type: ignore[union-attr]
    assert [len(each.relations) for each in found if isinstance(each, Extraction)] == [1, 1, 1]


def _entity(id_: str, start: int, end: int, type_: str = "CHEMICAL", text: str = "Aspirin") -> Entity:
    return Entity(id_, type_, start, end, text if type_ != "CHEMICAL" else "aspirin")


def test_a_document_larger_than_a_window() -> None:
    documents = [make_document(1), make_document(2, pairs=2000), make_document(3)]
    found = list(make_extractor(context="tagged").extract_documents(documents, ALL))
    assert [result.pairs for result in found if isinstance(result, Extraction)] == [1, 2000, 1]
    heads = [relation.head.start for relation in found[1].relations]  # type: ignore[union-attr]
    assert all(a < b for a, b in pairwise(heads))
    alone = list(make_extractor(context="tagged").extract_documents(documents[2:], ALL))
    assert found[2].relations[0].probability == pytest.approx(alone[0].relations[0].probability, abs=1e-6)  # type: ignore[union-attr]


def test_memory_does_not_grow_with_the_number_of_documents() -> None:
    status = Path("/proc/self/statm")
    if not status.exists():
        pytest.skip("this system does not tell a process's memory")
    for n, result in enumerate(make_extractor().extract_documents(map(make_document, range(10_000)), ALL)):
        assert isinstance(result, Extraction)
        assert (result.document.id, len(result.relations)) == (str(n), 1)
        if n == 4 * WINDOW_DOCUMENTS:
            before = int(status.read_text().split()[1])
    pages = int(status.read_text().split()[1]) - before
    assert pages * os.sysconf("SC_PAGE_SIZE") < 8 << 20  # to keep the documents alone would take twice as much


def test_what_cannot_be_an_extractor() -> None:
    class Other(WordEncoder):
        facts = {"encoder": "words", "weights": {"other": "1"}}  # noqa: RUF012

    with pytest.raises(MismatchError, match="the model was trained on words"):
        Extractor(make_checkpoint(), {"words": Other()})
    old = Extractor(replace(make_checkpoint(), pairing=None), {"words": WordEncoder()})
    with pytest.raises(UsageError, match="an earlier version trained it"):
        old.extract(TEXT, ENTITIES)


def why(document: Document, wanted: Wanted = ALL, **options: object) -> tuple[str, str]:
    (result,) = make_extractor(**options).extract_documents([document], wanted)  # type: ignore[arg-type]
    assert isinstance(result, Extraction)
    assert result.relations == ()
    assert result.nothing is not None
    return result.nothing.reason, result.nothing.why


def typed(*types: str, text: str = "Aspirin blocks COX-2. Akt is not seen.") -> Document:
    spans = ((0, 7), (15, 20), (22, 25))
    entities = [Entity(f"T{n}", t, a, b, text[a:b]) for n, (t, (a, b)) in enumerate(zip(types, spans, strict=False))]
    return Document("1", text, tuple(entities))


def test_types_are_matched_by_their_synonyms_and_stay_what_they_are() -> None:
    extractor = make_extractor()
    own, theirs = typed("CHEMICAL", "GENE-Y"), typed("ChemicalEntity", "GeneOrGeneProduct")
    first, second = extractor.extract_documents([own, theirs], ALL)
    assert isinstance(first, Extraction)
    assert isinstance(second, Extraction)
    assert second.document is theirs
    assert [(r.head, r.tail) for r in second.relations] == [theirs.entities]
    assert [r.probabilities for r in second.relations] == [r.probabilities for r in first.relations]
    (named,) = extractor.extract_documents(
        [typed("WORT", "GENE-Y")], Wanted(threshold=0.0, types=(("wort", "CHEMICAL"),))
    )
    assert isinstance(named, Extraction)
    assert [(r.head.type, r.probabilities) for r in named.relations] == [("WORT", first.relations[0].probabilities)]
    with pytest.raises(UsageError, match=r"no type 'SPECIES'.* CHEMICAL, GENE"):
        list(extractor.extract_documents([own], Wanted(types=(("x", "SPECIES"),))))


def test_a_document_without_relations_says_why() -> None:
    assert why(typed()) == ("no mentions", "the document has no mentions.")
    assert why(typed("CHEMICAL", "SPECIES")) == (
        "no pair of the model's types",
        "the model relates CHEMICAL and GENE; the document has CHEMICAL, SPECIES.",
    )
    apart = typed("CHEMICAL", "SPECIES", "GENE")
    assert why(apart) == ("no pair in one sentence", "no CHEMICAL and GENE lie in one sentence.")
    near = why(typed("CHEMICAL", "GENE"), Wanted(max_distance=0))
    assert near[1] == "no CHEMICAL and GENE lie in one sentence with at most 0 tokens between them."
    below = why(typed("CHEMICAL", "GENE"), Wanted(threshold=1.0))
    assert below == ("all pairs below the threshold", "all its pairs (1) are below the threshold of 1.0.")
    kinds = (("chem", "gene"), ("gene", "dise"))
    either = why(typed("GENE", "SPECIES"), kinds=kinds)[1]
    assert either == "the model relates CHEMICAL and GENE or GENE and DISEASE; the document has GENE, SPECIES."
