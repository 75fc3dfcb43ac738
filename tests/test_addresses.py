"""Documents, outputs and models at addresses: a real S3 protocol, a server on the loopback."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import fsspec
import pytest

from featstore import cache, copies
from featstore.addresses import address_of, check_address, is_there
from featstore.copies import fetched
from featstore.corpora import load_corpus
from featstore.documents import Document
from featstore.errors import MissingFileError, ResourceError, UsageError
from featstore.files import check_input, check_output_file, open_output, write_file
from featstore.formats import read_documents
from featstore.formats.source import source_of
from featstore.stores import list_sets


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("s3://bucket/a/b.jsonl", "s3://bucket/a/b.jsonl"),
        (Path("s3://bucket/a/b.jsonl"), "s3://bucket/a/b.jsonl"),
        (Path("gs://bucket/a"), "gs://bucket/a"),
        (Path("memory://a/b"), "memory://a/b"),
        ("a/b.jsonl", None),
        ("/s3:/bucket", None),
        (Path("./c:/x"), None),
        ("file:///a/b", None),
        ("-", None),
    ],
)
def test_what_is_an_address(given: str | Path, meant: str | None) -> None:
    assert address_of(given) == meant


def test_what_is_written_is_whole_or_not_there(s3: str) -> None:
    target, fs = Path(f"{s3}/out/a.txt"), fsspec.filesystem("s3")
    check_output_file(target)
    write_file(target, b"first")
    assert fs.cat_file(f"{s3}/out/a.txt") == b"first"
    with pytest.raises(TypeError), open_output(target) as file:
        file.writelines([b"sec", "ond"])  # type: ignore[list-item]
    assert fs.cat_file(f"{s3}/out/a.txt") == b"first"
    assert fs.find(s3) == [f"{s3}/out/a.txt".removeprefix("s3://")], "and nothing else"
    with open_output(target) as file:
        file.write(b"second")
    assert fs.cat_file(f"{s3}/out/a.txt") == b"second"


@pytest.mark.parametrize("packed", [False, True])
def test_documents_are_read_from_front_to_end(s3: str, packed: bool) -> None:
    name = "docs.jsonl.gz" if packed else "docs.jsonl"
    text = "".join(f'{{"id": "{n}", "text": "Text number {n}.", "entities": []}}\n' for n in range(2000))
    with fsspec.open(f"{s3}/{name}", "wb", compression="gzip" if packed else None) as file:
        file.write(text.encode())
    path = Path(f"{s3}/{name}")
    check_input(path)
    source = source_of(path)
    assert str(source) == f"{s3}/{name}"
    found = list(read_documents(source))
    assert [document.id for document in found if isinstance(document, Document)] == [str(n) for n in range(2000)]


def test_what_is_not_there_is_said(s3: str) -> None:
    with pytest.raises(MissingFileError, match=rf"{s3}/none.jsonl does not exist; check the names"):
        check_input(Path(f"{s3}/none.jsonl"))
    write_file(Path(f"{s3}/folder/x"), b"x")
    with pytest.raises(UsageError, match="is a folder; name the files"):
        check_address(f"{s3}/folder")
    for call in (check_output_file, lambda path: write_file(path, b"x")):
        with pytest.raises(UsageError, match=r"cannot be written: there is no.* bucket"):
            call(Path("s3://no-such-bucket-here/out.jsonl"))
    with pytest.raises(UsageError, match="names no file; add a name"):
        check_output_file(Path(s3))
    with pytest.raises(UsageError, match=r"nosuch://.*featstore\[remote\]"):
        check_output_file(Path("nosuch://bucket/x"))


@pytest.mark.parametrize("listens", [False, True], ids=["refused", "silent"])
def test_a_server_that_does_not_answer_is_no_missing_bucket(listens: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fsspec.get_filesystem_class("s3"), "retries", 1)
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        if listens:
            server.listen()
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        once = {"read_timeout": 0.05, "retries": {"max_attempts": 0}}
        settings = {"endpoint_url": url, "key": "x", "secret": "x", "config_kwargs": once}
        monkeypatch.setitem(fsspec.config.conf, "s3", settings)
        asks = (lambda there: check_output_file(Path(there)), lambda there: is_there(Path(there)), list_sets)
        for ask in asks:
            with pytest.raises(ResourceError, match=rf"server does not answer .*{url}.* Check that it runs") as said:
                ask("s3://bucket/features")
            assert said.value.exit_code == 6


def test_no_credentials_and_no_package() -> None:
    code = """
import sys
from pathlib import Path
from featstore.errors import FeatstoreError
from featstore.files import check_input
if sys.argv[1:]:
    sys.modules["s3fs"] = None
try:
    check_input(Path("s3://bucket/docs.jsonl"))
except FeatstoreError as error:
    print(error.exit_code, error)
"""
    bare = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")} | {"AWS_EC2_METADATA_DISABLED": "true"}
    said = []
    for words in ([], ["hide"]):
        bare["HOME"] = "/nonexistent"
        ran = subprocess.run([sys.executable, "-c", code, *words], env=bare, capture_output=True, text=True, check=True)
        said.append(ran.stdout)
    assert said[0].startswith("6 s3://bucket/docs.jsonl cannot be reached without credentials"), said[0]
    assert "AWS_ACCESS_KEY_ID" in said[0]
    assert said[1].startswith("2 s3://bucket/docs.jsonl cannot be opened"), said[1]
    assert "pip install 'featstore[remote]'" in said[1]


def test_a_folder_is_fetched_once_and_again_when_it_changes(
    s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    fs = fsspec.filesystem("s3")
    fs.pipe({f"{s3}/run/config.toml": b"a = 1", f"{s3}/run/fold-1/run.json": b"{}"})
    copy = fetched(f"{s3}/run")
    assert copy.name == "run"
    assert (copy / "fold-1" / "run.json").read_bytes() == b"{}"
    assert fetched(f"{s3}/run/") == copy
    fs.pipe({f"{s3}/run/config.toml": b"a = 2"})
    other = fetched(f"{s3}/run")
    assert (other / "config.toml").read_bytes() == b"a = 2"
    monkeypatch.setattr(cache, "_MOST_KEPT", 12)
    fs.pipe({f"{s3}/more/x": b"12345"})
    last = fetched(f"{s3}/more")
    assert (last / "x").is_file()
    assert len(list((tmp_path / "featstore").iterdir())) == 2, "the copy that was used longest ago has gone"
    file = fetched(f"{s3}/run/config.toml")
    assert (file.name, file.read_bytes()) == ("config.toml", b"a = 2")
    with pytest.raises(MissingFileError, match="no file below it"):
        fetched(f"{s3}/none")


def test_a_fetch_that_fails_leaves_nothing(s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    fs = fsspec.filesystem("s3")
    fs.pipe({f"{s3}/run/a": b"1", f"{s3}/run/b": b"2"})

    class Cut:
        """A file system of which one file cannot be fetched."""

        find = fs.find

        def get_file(self, path: str, target: str) -> None:
            if path.endswith("b"):
                raise OSError("the line is cut")
            fs.get_file(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(copies, "open_address", lambda address: (Cut(), address.removeprefix("s3://")))
        with pytest.raises(ResourceError, match="the line is cut"):
            fetched(f"{s3}/run")
    assert list((tmp_path / "featstore").iterdir()) == []
    assert (fetched(f"{s3}/run") / "b").read_bytes() == b"2"


def test_a_corpus_at_an_address(s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    pair = '"head": {"type": "CHEMICAL", "start": 0, "end": 7}, "tail": {"type": "GENE", "start": 17, "end": 20}'
    line = f'{{"id": "1", "text": "Aspirin inhibits COX.", {pair}, "label": "yes"}}'
    (tmp_path / "mine.jsonl").write_text(line + "\n")
    fsspec.filesystem("s3").pipe_file(f"{s3}/mine.jsonl", f"{line}\n".encode())
    here, there = (load_corpus(f"jsonl:{place}") for place in (tmp_path / "mine.jsonl", f"{s3}/mine.jsonl"))
    assert there.spec == f"jsonl:{s3}/mine.jsonl"
    assert there.instances == here.instances
