"""Fetching: from a folder, an archive and a server on the loopback; resumed, refused, and never half in place."""

import gzip
import io
import logging
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from featstore.commands.data import data_get
from featstore.corpora import READERS, get, load_corpus
from featstore.corpora.get import get_corpus
from featstore.corpora.home import corpus_home
from featstore.corpora.published import OFFICIAL, corpus_files
from featstore.corpora.unpack import Allowance, unpack
from featstore.errors import DataError, MissingFileError, UsageError


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory of the test's own."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data-home"))
    return tmp_path / "data-home"


class Server(ThreadingHTTPServer):
    """Serves one body, can break off, not resume, or answer wrongly; notes the ranges that it was asked for."""

    body = b""
    tag = '"v1"'
    break_after: int | None = None
    resumes = True
    status: int | None = None
    wrong_range = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str | None] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}/corpus.zip"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        asked, server = self.headers["Range"], self.server
        server.asked.append(asked)
        if server.status:
            self.send_error(server.status)
            return
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        partial = bool(asked) and server.resumes and self.headers["If-Range"] == server.tag
        if partial and start >= len(server.body):
            self.send_error(416)
            return
        start = start if partial else 0
        self.send_response(206 if partial else 200)
        if partial:
            shown = start + 1 if server.wrong_range else start
            self.send_header("Content-Range", f"bytes {shown}-{len(server.body) - 1}/{len(server.body)}")
        self.send_header("ETag", server.tag)
        self.send_header("Content-Length", str(len(server.body) - start))
        self.end_headers()
        self.wfile.write(server.body[start : server.break_after])

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the name of the base class)
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as serving:
        thread = threading.Thread(target=serving.serve_forever, args=(0.01,))
        thread.start()
        yield serving
        serving.shutdown()
        thread.join()


def zipped(folder: Path, prefix: str = "") -> bytes:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*.tsv")):
            archive.write(path, prefix + path.relative_to(folder).as_posix())
    return raw.getvalue()


WriteGad = Callable[..., Path]


def leftovers(home: Path) -> list[str]:
    """What lies in the data directory beside fetched corpora."""
    folder = home / "featstore" / "corpora"
    return sorted(path.name for path in folder.iterdir() if path.name.startswith(".")) if folder.exists() else []


def test_from_a_folder(write_gad: WriteGad, home: Path) -> None:
    folder = write_gad()
    (folder / "1" / "dev.tsv").write_text("not a file of the corpus")
    placed = get_corpus("gad", str(folder))
    assert placed == corpus_home("gad") == home / "featstore" / "corpora" / "gad"
    assert load_corpus("gad").digest == load_corpus(f"gad:{folder}").digest
    assert not (placed / "1" / "dev.tsv").exists()
    assert leftovers(home) == []


def test_from_a_folder_above_and_in_place_of_an_earlier_one(write_gad: WriteGad, home: Path) -> None:
    first, second = write_gad(), write_gad([("@GENE$ @DISEASE$", "0"), ("no @GENE$ @DISEASE$", "1")], 2, "above/RE/GAD")
    write_gad(folds=2, name="above/RE/euadr")
    get_corpus("gad", str(first))
    get_corpus("gad", str(second.parents[1]))
    assert len(load_corpus("gad").instances) == 2
    assert leftovers(home) == []


def test_unknown_files_are_named(chemprot_dir: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        get_corpus("chemprot", str(chemprot_dir))
    assert len(caplog.records) == 12
    assert "chemprot_training_abstracts.tsv is not the public file" in caplog.text


def test_the_real_files_are_the_known_ones(real: Path) -> None:
    for name in ("chemprot", "gad", "euadr"):
        assert len(corpus_files(name, real / name)) in (13, 20)
        assert get.differing(name, real / name) == []


def test_a_changed_file_is_found_when_read(write_gad: WriteGad) -> None:
    test = get_corpus("gad", str(write_gad())) / "2" / "test.tsv"
    test.write_text(test.read_text().replace("No link", "A link"))
    with pytest.raises(DataError, match=r"2/test.tsv differs from what was fetched .* cli data get gad"):
        load_corpus("gad")
    (test.parents[1] / "CHECKSUMS.json").write_text("[]")
    with pytest.raises(DataError, match=r"cannot be compared with its CHECKSUMS\.json"):
        load_corpus("gad")


def test_a_malformed_corpus_is_not_placed(write_gad: WriteGad, home: Path) -> None:
    folder = write_gad()
    get_corpus("gad", str(folder))
    before = load_corpus("gad")
    (folder / "3" / "train.tsv").write_text("nothing\tof the kind\n")
    with pytest.raises(DataError, match="line 1"):
        get_corpus("gad", str(folder))
    assert load_corpus("gad") == before
    assert leftovers(home) == []


def test_what_is_not_there(tmp_path: Path, write_gad: WriteGad) -> None:
    with pytest.raises(MissingFileError, match="does not exist"):
        get_corpus("gad", str(tmp_path / "nowhere"))
    with pytest.raises(MissingFileError, match="does not hold chemprot"):
        get_corpus("chemprot", str(write_gad()))
    with pytest.raises(UsageError, match="Did you mean 'gad'"):
        get_corpus("gat", None)
    with pytest.raises(UsageError, match="is not an address"):
        get_corpus("gad", "ftp://example.org/gad.zip")
    write_gad(name="two/a")
    write_gad(name="two/b")
    with pytest.raises(DataError, match=r"more than once \(a, b\)"):
        get_corpus("gad", str(tmp_path / "two"))


def test_a_folder_of_the_user_is_not_replaced(write_gad: WriteGad) -> None:
    corpus_home("gad").mkdir(parents=True)
    (corpus_home("gad") / "mine.txt").write_text("keep")
    with pytest.raises(DataError, match="was not put there by 'data get'"):
        get_corpus("gad", str(write_gad()))
    assert (corpus_home("gad") / "mine.txt").read_text() == "keep"


def test_from_a_server(server: Server, write_gad: WriteGad, home: Path) -> None:
    server.body = zipped(write_gad(), prefix="datasets/RE/GAD/")
    seen: list[tuple[int, int | None]] = []
    get_corpus("gad", server.url, progress=lambda done, total: seen.append((done, total)))
    assert load_corpus("gad").folds == (1, 2, 3)
    assert seen[-1] == (len(server.body), len(server.body))
    assert leftovers(home) == []


def test_the_official_release_is_zips_in_a_zip(server: Server, chemprot_dir: Path, tmp_path: Path) -> None:
    inner = tmp_path / "inner" / "ChemProt_Corpus"
    inner.mkdir(parents=True)
    for part in chemprot_dir.iterdir():
        (inner / f"{part.name}.zip").write_bytes(zipped(part, prefix=f"{part.name}/"))
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as archive:
        for path in inner.iterdir():
            archive.write(path, f"ChemProt_Corpus/{path.name}")
            archive.writestr(f"__MACOSX/ChemProt_Corpus/._{path.name}", b"not a zip")
    server.body = raw.getvalue()
    get_corpus("chemprot", server.url)
    assert load_corpus("chemprot").digest == load_corpus(f"chemprot:{chemprot_dir}").digest


def test_a_broken_download_is_resumed(server: Server, write_gad: WriteGad, home: Path) -> None:
    server.body = zipped(write_gad())
    server.break_after = 700
    with pytest.raises(DataError, match=r"700 of .* run the command again to resume"):
        get_corpus("gad", server.url)
    assert not corpus_home("gad").exists()
    server.break_after = None
    get_corpus("gad", server.url)
    assert server.asked == [None, "bytes=700-"]
    assert load_corpus("gad").folds == (1, 2, 3)
    assert leftovers(home) == []


@pytest.mark.parametrize("change", ["another version", "no resume"])
def test_what_cannot_be_resumed_begins_anew(server: Server, write_gad: WriteGad, change: str) -> None:
    server.body = zipped(write_gad())
    server.break_after = 700
    with pytest.raises(DataError):
        get_corpus("gad", server.url)
    server.break_after = None
    if change == "no resume":
        server.resumes = False
    else:
        server.body, server.tag = zipped(write_gad(folds=2, name="new")), '"v2"'
    get_corpus("gad", server.url)
    assert server.asked == [None, "bytes=700-"]
    assert load_corpus("gad").folds == ((1, 2, 3) if change == "no resume" else (1, 2))


def test_a_file_that_became_shorter_begins_anew(server: Server, write_gad: WriteGad) -> None:
    body = zipped(write_gad())
    server.body, server.break_after = body + b"x" * 100, len(body) + 50
    with pytest.raises(DataError):
        get_corpus("gad", server.url)
    server.body, server.break_after = body, None
    get_corpus("gad", server.url)
    assert server.asked == [None, f"bytes={len(body) + 50}-", None]


def test_a_wrong_range_is_refused(server: Server, write_gad: WriteGad) -> None:
    server.body = zipped(write_gad())
    server.break_after = 700
    with pytest.raises(DataError):
        get_corpus("gad", server.url)
    server.break_after, server.wrong_range = None, True
    with pytest.raises(DataError, match="asked for the bytes from 700 on, the server answers 206 'bytes 701-"):
        get_corpus("gad", server.url)


def test_a_download_over_the_limit_is_refused(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.body = bytes(5000)
    monkeypatch.setattr(get, "MAX_DOWNLOAD", 4999)
    with pytest.raises(DataError, match="holds 5,000 bytes; 4,999 are allowed"):
        get_corpus("gad", server.url)


def test_a_server_that_refuses(server: Server) -> None:
    server.status = 404
    with pytest.raises(DataError, match="the server answers 404"):
        get_corpus("gad", server.url)
    server.status, server.body = None, b"<html>sorry</html>"
    with pytest.raises(DataError, match="is neither a zip nor a tar archive"):
        get_corpus("gad", server.url)


def test_no_server() -> None:
    with pytest.raises(DataError, match="run the command again to resume"):
        get_corpus("gad", "http://127.0.0.1:9/corpus.zip")


def tar_of(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz") as archive:
        for info, content in members:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return raw.getvalue()


def tar_link(kind: bytes) -> bytes:
    info = tarfile.TarInfo("link")
    info.type, info.linkname = kind, "/etc/passwd"
    return tar_of((info, b""))


def zip_of(*names: str, mode: int = 0o100644) -> bytes:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as archive:
        for name in names:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            archive.writestr(info, b"content")
    return raw.getvalue()


UNSAFE = {
    "zip above": (zip_of("../out.txt"), "leads out of the folder"),
    "zip absolute": (zip_of("/tmp/out.txt"), "leads out of the folder"),
    "zip in the middle": (zip_of("a/../../out.txt"), "leads out of the folder"),
    "zip drive": (zip_of("C:out.txt"), "leads out of the folder"),
    "zip link": (zip_of("link", mode=0o120777), "a link or a device"),
    "zip file as folder": (zip_of("a", "a/b"), "cannot be unpacked|twice"),
    "tar above": (tar_of((tarfile.TarInfo("../out.txt"), b"x")), "leads out of the folder"),
    "tar absolute": (tar_of((tarfile.TarInfo("/tmp/out.txt"), b"x")), "leads out of the folder"),
    "tar symlink": (tar_link(tarfile.SYMTYPE), "a link or a device"),
    "tar hard link": (tar_link(tarfile.LNKTYPE), "a link or a device"),
    "tar device": (tar_link(tarfile.CHRTYPE), "a link or a device"),
    "tar twice": (tar_of((tarfile.TarInfo("a"), b"x"), (tarfile.TarInfo("a"), b"y")), "twice"),
    "cut short": (tar_of((tarfile.TarInfo("a"), bytes(range(256)) * 40))[:-60], "cannot be unpacked|neither a zip"),
}


@pytest.mark.parametrize(("raw", "message"), UNSAFE.values(), ids=UNSAFE)
def test_unsafe_archives_are_refused(tmp_path: Path, raw: bytes, message: str) -> None:
    (tmp_path / "archive").write_bytes(raw)
    before = set(tmp_path.parent.rglob("out.txt"))
    with pytest.raises(DataError, match=message):
        unpack(tmp_path / "archive", tmp_path / "into", Allowance(10**6, 100))
    assert set(tmp_path.parent.rglob("out.txt")) == before
    assert not Path("/tmp/out.txt").exists()


def test_a_bomb_is_stopped_by_what_comes_out(tmp_path: Path) -> None:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(3_000_000))
    (tmp_path / "bomb").write_bytes(raw.getvalue())
    with pytest.raises(DataError, match="more than is allowed"):
        unpack(tmp_path / "bomb", tmp_path / "into", Allowance(1_000_000, 100))
    assert (tmp_path / "into" / "zeros").stat().st_size <= 1_000_000


def test_too_many_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "many").write_bytes(zip_of(*(f"{i}" for i in range(11))))
    with pytest.raises(DataError, match="more than is allowed"):
        unpack(tmp_path / "many", tmp_path / "into", Allowance(10**6, 10))


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from([zip_of("a.tsv", "b/c.tsv"), tar_of((tarfile.TarInfo("a"), b"x" * 99))]),
    st.floats(0, 1),
    st.binary(min_size=1, max_size=6),
)
def test_damaged_archives_raise_our_error_or_unpack(
    tmp_path_factory: pytest.TempPathFactory, raw: bytes, where: float, new: bytes
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    at = int(where * len(raw))
    (folder / "archive").write_bytes(raw[:at] + new + raw[at + len(new) :])
    with suppress(DataError):
        unpack(folder / "archive", folder / "into", Allowance(10**6, 100))


PPI_XML = (
    '<corpus source="LLL"><document id="d0"><sentence id="s0" text="GerE binds sigK">'
    '<entity id="e0" charOffset="0-4" type="protein" text="GerE"/>'
    '<entity id="e1" charOffset="11-15" type="protein" text="sigK"/>'
    '<pair id="p0" e1="e0" e2="e1" interaction="True"/></sentence></document></corpus>'
)


def test_a_release_keeps_its_folders(tmp_path: Path, home: Path) -> None:
    folder = tmp_path / "download" / "CDR_Data" / "CDR.Corpus"
    folder.mkdir(parents=True)
    for number, part in enumerate(("Training", "Development", "Test")):
        text = f"{number}|t|Aspirin and ulcers\n{number}\t0\t7\tAspirin\tChemical\tD1\n{number}\tCID\tD1\tD2\n"
        (folder / f"CDR_{part}Set.PubTator.txt").write_text(text)
    (folder / "CDR_sample.txt").write_text("no part of it")
    assert get_corpus("bc5cdr", str(tmp_path / "download")) == home / "featstore/corpora/bc5cdr"
    names = {path.name for path in corpus_home("bc5cdr").rglob("*") if path.is_file()}
    assert names == {*(f"CDR_{p}Set.PubTator.txt" for p in ("Training", "Development", "Test")), "CHECKSUMS.json"}
    assert load_corpus("bc5cdr").notes["documents"] == 3


def test_a_release_of_one_packed_file(server: Server) -> None:
    server.body = gzip.compress(PPI_XML.encode())
    get_corpus("lll", server.url.replace("corpus.zip", "LLL-learning-format.xml.gz"))
    assert [i.id for i in load_corpus("lll").instances] == ["lll:p0"]


def test_the_published_table_comes_with_the_folds(write_gad: WriteGad, tmp_path: Path) -> None:
    write_gad([("@GENE$ and @DISEASE$.", "1"), ("@GENE$ or @DISEASE$.", "0")], folds=2, name="folds")
    (tmp_path / "original").mkdir()
    header = "GAD_ID,GAD_ASSOC,NER_GENE_ENTITY,NER_GENE_OFFSET,NER_DISEASE_ENTITY,NER_DISEASE_OFFSET,GAD_CONCLUSION"
    rows = ["1,Y,TNF,0#3,gout,8#12,TNF and gout.", "2,F,IL6,0#3,gout,7#11,IL6 or gout."]
    (tmp_path / "original" / "GAD.csv").write_text("\n".join([header, *rows]) + "\n")
    get_corpus("gad", str(tmp_path))
    assert [i.source["gene"] for i in load_corpus("gad").instances] == ["TNF", "IL6"]


def test_every_corpus_has_an_address_in_the_help() -> None:
    assert set(READERS) - set(OFFICIAL) == {"sample", "chemprot-drugprot", "drugprot-new", "documents", "jsonl"}
    text = data_get.__doc__ or ""
    for name, address in OFFICIAL.items():
        assert name in text
        assert name in ("gad", "euadr") or str(urlsplit(address).hostname) in text
