"""The command line, run as a user runs it, with the bundled GloVe and short trainings."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
Pairs = Callable[[Path], Path]


def test_help_is_there_without_torch() -> None:
    code = "import sys, cli; sys.argv = ['cli', '--help']\ntry: cli.main()\nexcept SystemExit: pass\n"
    code += "heavy = {'torch', 'flair', 'h5py', 'zarr', 'numpy'} & set(sys.modules); assert not heavy, heavy"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "featurize" in done.stdout


def test_the_three_commands_of_the_readme(run: Run, tmp_path: Path) -> None:
    # The commands are verbatim; the file only makes training short.
    (tmp_path / "featstore.toml").write_text("[train]\nmax-epochs = 1\n")
    featurized = run("featurize", "--encoders", "glove,cse,elmo")
    assert featurized.code == 0, featurized.err
    assert "elmo" in featurized.out
    trained = run("train", "--features", "glove+cse")
    assert trained.code == 0, trained.err
    assert "epoch 1" in trained.err
    evaluated = run("eval", "--fold", "3")
    assert evaluated.code == 0, evaluated.err
    assert "not trained yet; training it first" in evaluated.err
    assert "F1" in evaluated.out
    errors = run("runs", "errors", "--show", "1")
    assert errors.code == 0, errors.err
    *_, mistake, sentence = errors.out.splitlines()
    assert re.fullmatch(r"\S+: gold \S+, predicted \S+ with [\d.]+ %", mistake)
    assert "[" in sentence
    assert "{" in sentence
    assert len(run("runs", "errors", "--show", "2", "--json").json()["mistakes"]) == 2


def test_train_eval_extract_agree(run: Run, pairs: Pairs, tmp_path: Path) -> None:
    corpus = pairs(tmp_path / "pairs.jsonl")
    spec = f"jsonl:{corpus}"
    for context in ("tagged", "sentence"):
        stored = run("featurize", "--encoders", "glove", "--corpus", spec, "--context", context, "--json")
        assert stored.json()[0]["sentences"] == 60
        options = ("--corpus", spec, "--context", context, "--run", f"run-{context}", "--optimizer", "adamw")
        short = ("--lr", "0.01", "--max-epochs", "6", "--batch-size", "4", "--hidden", "16")
        trained = run("train", "--features", "glove", *options, *short, "--json")
        assert trained.code == 0, trained.err
        evaluated = run("eval", "--run", f"run-{context}", "--predictions", "p.tsv", "--json").json()
        assert evaluated["folds"]["1"]["micro"]["f1"] == 1.0
        assert (tmp_path / "runs" / f"run-{context}" / "fold-1" / "model.safetensors").exists()
        assert run("extract", str(corpus), "-o", "out.jsonl", "--run", f"run-{context}").code == 0
        relations = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
        assert [r["line"] for r in relations] == list(range(1, 61))
        scored = {row.split("\t")[0]: row.split("\t") for row in (tmp_path / "p.tsv").read_text().splitlines()[1:]}
        for relation in relations:
            if relation["id"] in scored:
                _, _, predicted, *probabilities = scored[relation["id"]]
                assert relation["label"] == predicted
                assert [f"{p:.6f}" for p in relation["probabilities"].values()] == probabilities
        assert len(scored) == 12


def test_extract_refuses_other_encoders(run: Run, pairs: Pairs, tmp_path: Path) -> None:
    corpus = pairs(tmp_path / "pairs.jsonl")
    vectors = tmp_path / "glove.tiny.txt"
    vectors.write_text("inhibits 1 0\nkinase 0 1\n")
    spec = f"glove:{vectors}"
    run("featurize", "--encoders", spec, "--corpus", f"jsonl:{corpus}")
    run("train", "--features", "glove", "--corpus", f"jsonl:{corpus}", "--run", "r", "--max-epochs", "1")
    refused = run("extract", str(corpus), "-o", "out.jsonl", "--run", "r")
    assert refused.code == 5
    assert "--encoders glove:PATH" in refused.err
    assert not (tmp_path / "out.jsonl").exists()
    assert run("extract", str(corpus), "-o", "out.jsonl", "--run", "r", "--encoders", spec).code == 0


def test_dry_run_writes_nothing(run: Run, tmp_path: Path) -> None:
    forecast = run("featurize", "--encoders", "glove", "--dry-run", "--json")
    assert forecast.code == 0
    assert forecast.json()[0]["missing_sentences"] == forecast.json()[0]["sentences"] > 300
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["featurize", "--encoders", "glvoe"], 2, "Did you mean 'glove'"),
        (["featurize", "--encoders", ","], 2, "name at least one"),
        (["featurize", "--corpus", "gad:nowhere"], 4, "nowhere"),
        (["featurize", "--corpus", "chemprot"], 4, "cli data get chemprot"),
        (["featurize", "--encoders", "glove:nowhere.txt"], 4, "nowhere.txt"),
        (["featurize", "--encoders", "glove", "--dtype", "float8"], 2, "float16"),
        (["featurize", "--encoders", "glove", "--backend", "sqlite"], 2, "zarr"),
        (["featurize", "--context", "paragraph"], 2, "sentence"),
        (["featurize", "--no-such-option"], 2, "No such option"),
        (["train", "--features", "glove"], 5, "cli featurize --encoders glove"),
        (["train", "--features", "glove+"], 2, "glove+cse"),
        (["train", "--features", "glove", "--lr", "-1"], 2, "lr is -1, but must be above 0"),
        (["eval"], 4, "cli train"),
        (["eval", "--fold", "1", "--folds", "all"], 2, "one of them"),
        (["eval", "--run", "nowhere"], 4, "nowhere"),
        (["extract", "in.jsonl", "-o", "out.jsonl"], 4, "in.jsonl does not exist"),
        (["data", "check", "gad:nowhere"], 4, "nowhere"),
        (["data", "get", "genia"], 2, "chemprot"),
        (["store", "info", "glove"], 5, "store ls"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_message(run: Run, words: list[str], code: int, says: str) -> None:
    result = run(*words)
    assert result.code == code, result.err
    assert says in result.err
    assert "Traceback" not in result.err
    assert result.out == ""


def test_a_fold_that_does_not_exist(run: Run) -> None:
    run("featurize", "--encoders", "glove")
    result = run("train", "--features", "glove", "--fold", "99")
    assert result.code == 2
    assert "99" in result.err


def test_flag_beats_environment_beats_file_beats_default(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stores() -> set[str]:
        return {path.name for path in tmp_path.iterdir() if path.is_dir()}

    (tmp_path / "featstore.toml").write_text('[defaults]\nstore = "from-file"\n[featurize]\nencoders = "glove"\n')
    run("featurize")
    assert stores() == {"from-file"}
    monkeypatch.setenv("FEATSTORE_STORE", "from-environment")
    run("featurize")
    assert stores() == {"from-file", "from-environment"}
    run("featurize", "--store", "from-flag")
    assert stores() == {"from-file", "from-environment", "from-flag"}


@pytest.mark.parametrize(
    "text", ["[train]\nepochs = 3\n", "[train\n", "train = 3\n", "[nonsense]\nx = 1\n", "[defaults]\nx = 1\n"]
)
def test_a_wrong_configuration_file_is_refused(run: Run, tmp_path: Path, text: str) -> None:
    (tmp_path / "featstore.toml").write_text(text)
    result = run("store", "ls")
    assert result.code == 2
    assert "featstore.toml" in result.err


def test_store_ls_and_info(run: Run) -> None:
    run("featurize", "--encoders", "glove")
    (listed,) = run("store", "ls", "--json").json()
    assert (listed["meta"]["name"], listed["meta"]["dim"]) == ("glove", 50)
    assert "fact:" in run("store", "info", f"glove@{listed['meta']['identity'][:6]}").out


def test_data_check_counts_the_sample(run: Run) -> None:
    checked = run("data", "check", "sample", "--json")
    assert checked.err.startswith("reading sample\ncomparing the sentences of 8"), "what takes time is told"
    report = checked.json()
    assert list(report["counts"]) == ["all", *(f"fold {k}" for k in range(1, 6))]
    assert report["instances"] >= 300
    assert sum(report["counts"][f"fold {k}"]["total"] for k in range(1, 6)) == report["instances"]
    assert "Facts" in run("data", "check", "sample:chemprot").out


def write_documents(path: Path, pairs: Path) -> Path:
    """The pairs of a JSONL corpus as documents of one sentence, its types as a curator might write them."""
    lines = []
    for number, line in enumerate(pairs.read_text().splitlines(), start=1):
        pair = json.loads(line)
        ends = [("T1", "Chemical", pair["head"]), ("T2", "gene", pair["tail"])]
        entities = [{"id": i, "type": t, "start": e["start"], "end": e["end"]} for i, t, e in ends]
        lines.append(json.dumps({"id": str(number), "text": pair["text"], "entities": entities}))
    path.write_text("\n".join(lines) + "\n")
    return path


def test_documents_get_the_probabilities_of_eval_from_run_and_bundle(run: Run, pairs: Pairs, tmp_path: Path) -> None:
    corpus = pairs(tmp_path / "pairs.jsonl")
    spec, documents = f"jsonl:{corpus}", str(write_documents(tmp_path / "documents.jsonl", corpus))
    options = ("--corpus", spec, "--context", "sentence")
    run("featurize", "--encoders", "glove", *options)
    short = ("--optimizer", "adamw", "--lr", "0.01", "--max-epochs", "6", "--batch-size", "4", "--hidden", "16")
    run("train", "--features", "glove", "--run", "r", *options, *short)
    run("eval", "--run", "r", "--predictions", "p.tsv")
    gold = {row.split("\t")[0]: row.split("\t")[3:] for row in (tmp_path / "p.tsv").read_text().splitlines()[1:]}
    assert run("bundle", "--run", "r", "-o", "MODEL", "--licence", "CC0-1.0").code == 0
    for n, model in enumerate((("--run", "r"), ("--model", "MODEL"))):
        done = run("extract", documents, "-o", f"{n}.jsonl", *model, "--threshold", "0", "--explain", "--json")
        assert done.code == 0, done.err
        assert (done.json()["documents"], done.json()["pairs"]) == (60, 60)
        written = [json.loads(line) for line in (tmp_path / f"{n}.jsonl").read_text().splitlines()]
        scored = {w["id"]: w["relations"][0] for w in written}
        for id_, probabilities in gold.items():
            assert list(scored[id_]["probabilities"].values()) == pytest.approx(
                list(map(float, probabilities)), abs=2e-6
            )
            assert scored[id_]["attention"]
    assert len(gold) == 12
    plain = run("extract", documents, "-o", "found.tsv", "--model", "MODEL", "--to", "tsv")
    assert plain.code == 0, plain.err
    assert len((tmp_path / "found.tsv").read_text().splitlines()) == 1 + 30, "a header, and what inhibits"


def test_extract_tells_of_bad_documents_and_goes_on(run: Run, pairs: Pairs, tmp_path: Path) -> None:
    corpus = pairs(tmp_path / "pairs.jsonl")
    run("featurize", "--encoders", "glove", "--corpus", f"jsonl:{corpus}")
    run("train", "--features", "glove", "--corpus", f"jsonl:{corpus}", "--run", "r", "--max-epochs", "1")
    documents = write_documents(tmp_path / "documents.jsonl", corpus)
    documents.write_text('{"id": "sick", "text": "x"}\n' + documents.read_text())
    result = run("extract", str(documents), "-o", "out.jsonl", "--run", "r")
    assert result.code == 3
    assert "line 1: document 'sick'" in result.err
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 60
    assert run("extract", str(documents), "-o", "o", "--run", "r", "--model", "M").code == 2
    assert run("extract", str(documents), "-o", "o", "--run", "r", "--threshold", "2").code == 2
    assert run("extract", "nowhere.jsonl", "-o", "o", "--run", "r").code == 4
    assert run("extract", str(documents), "-o", "o", "--model", "nowhere").code == 4


def test_data_check_goes_on_after_what_is_bad(run: Run, tmp_path: Path) -> None:
    entities = [
        {"id": "T1", "type": "GENE", "start": 0, "end": 3},
        {"id": "T2", "type": "GENE", "start": 10, "end": 13},
    ]
    relations = [{"head": "T1", "tail": "T2", "label": "binds"}, {"head": "T1", "tail": "T9", "label": "binds"}]
    document = {"id": "7", "text": "TNF binds IL6.", "entities": entities, "relations": relations}
    (tmp_path / "a.jsonl").write_text(json.dumps(document))
    found = run("data", "check", "documents:a.jsonl", "--json")
    assert found.code == 3
    assert "left out: a.jsonl, line 1: document 7: a relation binds has the argument 'T9'" in found.err
    report = found.json()
    assert report["counts"]["all"] == {"NONE": 0, "binds": 1, "total": 1}
    assert len(report["problems"]) == 1


def test_data_check_against_another_corpus(run: Run, pairs: Callable[[Path], Path], tmp_path: Path) -> None:
    pairs(tmp_path / "a.jsonl")
    found = run("data", "check", "jsonl:a.jsonl", "--against", "jsonl:a.jsonl", "--json").json()
    same = {(p["part"], p["other"]): p["exact"] == p["instances"] for p in found["parts"]}
    assert same == {(a, b): a == b for a in ("train", "dev", "test") for b in ("train", "dev", "test")}
    assert "sentence exactly there" in run("data", "check", "sample", "--against", "jsonl:a.jsonl").out
