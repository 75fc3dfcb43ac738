"""The JSON API: the same numbers as the command line, and clear answers to whatever else is sent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from serve_toys import SMALL, serving
from toy_model import make_document, make_extractor

from classifier.extract import ExtractionJob, extract_files
from classifier.extract.wanted import Wanted
from classifier.serve import Limits
from featstore.documents import Document
from featstore.formats import ModelFacts, writer_of

MODEL = ModelFacts("toy", "0" * 64, ())


def as_json(document: Document) -> dict[str, object]:
    entities = [{"id": e.id, "type": e.type, "start": e.start, "end": e.end} for e in document.entities]
    return {"id": document.id, "text": document.text, "entities": entities}


DOCUMENTS = [make_document(n, pairs=1 + n % 3) for n in range(6)]


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with serving(Limits()) as address, httpx.Client(base_url=address, timeout=30) as made:
        yield made


@pytest.fixture(scope="module")
def strict() -> Iterator[httpx.Client]:
    with serving(SMALL) as address, httpx.Client(base_url=address, timeout=30) as made:
        yield made


@pytest.fixture(scope="module")
def by_command(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What extraction from a file writes, by output format."""
    folder = tmp_path_factory.mktemp("files")
    (folder / "in.jsonl").write_text("".join(json.dumps(as_json(d)) + "\n" for d in DOCUMENTS), encoding="utf-8")
    written = {}
    for name in ("jsonl", "tsv", "bioc-xml", "pubtator"):
        job = ExtractionJob(
            [folder / "in.jsonl"], folder / f"out.{name}", target_format=name, wanted=Wanted(0.2, explain=True)
        )
        extract_files(make_extractor(), job)
        written[name] = (folder / f"out.{name}").read_text(encoding="utf-8")
    return written


def test_answers_are_those_of_the_command_line_number_for_number(
    client: httpx.Client, by_command: dict[str, str]
) -> None:
    request = {"documents": [as_json(d) for d in DOCUMENTS], "threshold": 0.2, "explain": True}
    answer = client.post("/api/extract", json=request).json()
    assert answer["documents"] == [json.loads(line) for line in by_command["jsonl"].splitlines()]
    assert answer["bad"] == []
    assert any(document["relations"] for document in answer["documents"])
    for name, text in by_command.items():
        response = client.post("/api/extract", params={"to": name}, json=request)
        # The documents came as JSON and not from a file, so that nothing but their content is the same.
        assert (response.status_code, response.text) == (200, text)


def test_a_stream_of_lines_is_answered_line_by_line(client: httpx.Client, by_command: dict[str, str]) -> None:
    lines = [json.dumps(as_json(d)) for d in DOCUMENTS]
    lines[3:3] = ["{broken", json.dumps({"id": "x", "text": "abc", "entities": [], "colour": "red"})]
    response = client.post(
        "/api/extract",
        params={"threshold": "0.2", "explain": "true"},
        content="\n".join(lines).encode(),
        headers={"Content-Type": "application/x-ndjson"},
    )
    answered = response.text.splitlines()
    assert [line for n, line in enumerate(answered) if n not in (3, 4)] == by_command["jsonl"].splitlines()
    assert "JSON" in json.loads(answered[3])["error"]
    assert "colour" in json.loads(answered[4])["error"]


def test_what_is_left_out_of_a_document_is_told(client: httpx.Client) -> None:
    drug = {"id": "T1", "type": "CHEMICAL", "start": 0, "end": 4}
    hyphen = {"id": "T2", "type": "GENE", "start": 14, "end": 15}
    given = {"id": "7", "text": "Drug inhibits \u00ad.", "entities": [drug, hyphen]}
    answer = client.post("/api/extract", json={"documents": [given]}).json()
    (problem,) = answer["problems"]
    assert problem["id"] == "7"
    assert "holds no word" in problem["why"]
    assert answer["documents"][0]["nothing"]["reason"] == "no pair in one sentence"
    streamed = client.post(
        "/api/extract", content=json.dumps(given).encode(), headers={"Content-Type": "application/x-ndjson"}
    )
    assert json.loads(streamed.text) == {**answer["documents"][0], "problems": [problem]}


def test_many_clients_at_once_get_what_each_would_have_got_alone(client: httpx.Client) -> None:
    requests = [{"documents": [as_json(d)], "threshold": 0.0} for d in DOCUMENTS] * 5
    alone = [client.post("/api/extract", json=request).json() for request in requests]
    with ThreadPoolExecutor(10) as pool:
        together = list(pool.map(lambda request: client.post("/api/extract", json=request).json(), requests))
    assert together == alone


def test_models_health_and_description(client: httpx.Client) -> None:
    found = client.get("/api/models").json()
    assert [model["name"] for model in found["models"]] == ["toy", "other"]
    assert [label["name"] for label in found["models"][0]["labels"] if label["positive"]] == ["CPR:3", "CPR:4"]
    assert "jsonl" in found["formats"]
    assert client.get("/healthz").json()["status"] == "ok"
    paths = client.get("/openapi.json").json()["paths"]
    assert {"/api/extract", "/api/documents", "/api/models", "/healthz"} == set(paths)


def test_files_are_read_in_every_document_format(client: httpx.Client) -> None:
    for name, suffix in (("jsonl", "jsonl"), ("pubtator", "pubtator"), ("bioc-xml", "xml"), ("bioc-json", "json")):
        writer = writer_of(name)
        pieces = [writer.document(d, [], MODEL) for d in (make_document(n) for n in range(2))]
        content = writer.header(MODEL) + writer.separator.join(pieces) + writer.footer()
        response = client.post("/api/documents", params={"name": f"a.{suffix}"}, content=content.encode())
        found = response.json()
        assert response.status_code == 200, found
        assert [document["id"] for document in found["documents"]] == ["0", "1"]
        assert len(found["documents"][0]["entities"]) == 2


@pytest.mark.parametrize(
    ("body", "code", "told"),
    [
        ({}, 400, "either 'text' or 'documents'"),
        ({"text": "a", "documents": []}, 400, "either"),
        ({"text": "a", "model": "toi"}, 400, "Did you mean 'toy'?"),
        ({"text": "a", "threshold": 1.5}, 422, "threshold"),
        ({"text": "a", "colour": 1}, 422, "colour"),
        ({"text": "half \ud800 a character"}, 422, ""),
        ({"documents": [{"text": "ab", "entities": [{"id": "T", "type": "X", "start": 0, "end": 9}]}]}, 422, "0-9"),
        ({"documents": [{"text": "x"}] * 6}, 400, "at most 5"),
        ({"text": "x" * 2001}, 422, "at most 2,000"),
        ({"text": "x" * 30_000}, 413, "20,000 bytes"),
    ],
)
def test_bad_requests_are_refused_with_a_sentence(
    strict: httpx.Client, body: dict[str, object], code: int, told: str
) -> None:
    content = json.dumps(body).encode()
    response = strict.post("/api/extract", content=content, headers={"Content-Type": "application/json"})
    assert response.status_code == code, response.text
    assert told in response.json()["error"]
    assert response.json()["error"].endswith(".") or response.json()["error"].endswith("?")


def test_other_requests_that_are_refused(strict: httpx.Client) -> None:
    assert strict.post("/api/extract", content=b"{not json").status_code == 422
    assert strict.post("/api/extract", params={"to": "pdf"}, json={"text": "a"}).status_code == 400
    assert strict.post("/api/documents", params={"name": "a.pdf"}, content=b"%PDF-1.7").status_code in (400, 422)
    assert strict.get("/api/extract").status_code == 405
    for path in ("/../pyproject.toml", "/etc/passwd", "/page.py", "/static/../app.py", "/%2e%2e/app.py"):
        assert strict.get(path).status_code == 404, path


def test_headers_forbid_what_the_page_does_not_need(client: httpx.Client) -> None:
    for path in ("/", "/page.js", "/api/models", "/nothing"):
        headers = client.get(path).headers
        assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'; style-src 'self'")
        assert headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in headers


def test_other_origins_and_other_names_are_refused(client: httpx.Client) -> None:
    foreign = client.post("/api/extract", json={"text": "a"}, headers={"Origin": "http://evil.example"})
    assert foreign.status_code == 403
    assert client.get("/healthz", headers={"Host": "evil.example"}).status_code == 400


def test_a_full_queue_answers_503_and_when_to_try_again(monkeypatch: pytest.MonkeyPatch) -> None:
    from classifier.serve import gather

    def refuse(*_: object) -> None:
        raise gather.QueueFullError

    with serving(SMALL) as address:
        monkeypatch.setattr(gather.Gatherer, "submit", refuse)
        response = httpx.post(f"{address}/api/extract", json={"text": "Aspirin."})
    assert response.status_code == 503
    assert response.headers["retry-after"].isdigit()


def test_no_text_reaches_the_log(
    client: httpx.Client, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    secret = "patient seventeen took zorblaxin"
    client.post("/api/extract", json={"text": secret})
    client.post("/api/extract", json={"text": secret, "threshold": 7})
    client.post("/api/extract", content=secret.encode())
    logged = caplog.text + "".join(capfd.readouterr())
    assert "zorblaxin" not in logged


def test_uploads_do_not_leave_files_behind(
    client: httpx.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    client.post(
        "/api/documents", params={"name": "../../evil.jsonl"}, content=b'{"id": "1", "text": "a", "entities": []}'
    )
    client.post("/api/documents", params={"name": "x.jsonl"}, content=b"\x00\x01")
    assert list(tmp_path.iterdir()) == []
