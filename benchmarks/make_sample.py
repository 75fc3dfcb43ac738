"""Generate data/sample: sentences of our own in the layouts of GAD and of ChemProt.

In: ``sample_grammar.toml`` beside this file. Out: DIR/gad and DIR/chemprot, byte for byte the same on every machine.

    python benchmarks/make_sample.py data/sample

The sentences are drawn from a small grammar with claims, denials, questions, paraphrases and other entities that the
claim may be about instead, so that the label depends on which entity is where, and a few labels are flipped. No two
sentences of the GAD part share 0.8 of their words, so that its folds do not leak.
"""

from __future__ import annotations

import random
import re
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SEED = 20210
GAD_INSTANCES, FOLDS = 800, 5
DOCUMENTS = {"train": 40, "dev": 12, "test": 20}
FILES = {
    "train": "chemprot_training/chemprot_training_{}.tsv",
    "dev": "chemprot_development/chemprot_development_{}.tsv",
    "test": "chemprot_test_gs/chemprot_test_{}_gs.tsv",
}
SCORED = ("CPR:3", "CPR:4", "CPR:5", "CPR:6", "CPR:9")

Words = Mapping[str, Sequence[str]]


class Draw:
    """Random choices from one seed; only ``random()`` is used, the one method that Python promises never to change."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed).random

    def chance(self, share: float) -> bool:
        return self._random() < share

    def pick(self, choices: Sequence[Any]) -> Any:
        return choices[int(self._random() * len(choices))]

    def weighted(self, rows: Sequence[Sequence[Any]]) -> Sequence[Any]:
        """Pick a row by the weight in its first column."""
        return self.pick([row for row in rows for _ in range(row[0])])  # type: ignore[no-any-return]

    def several(self, choices: Sequence[str], number: int) -> list[str]:
        """Pick several different ones."""
        left = list(choices)
        return [left.pop(int(self._random() * len(left))) for _ in range(number)]

    def expand(self, pattern: str, words: Words) -> str:
        """Replace each ``{name}`` that is in ``words`` by one of its lines, until none is left."""
        while found := [m for m in re.finditer(r"\{(\w+)\}", pattern) if m[1] in words]:
            first = found[0]
            pattern = pattern[: first.start()] + self.pick(words[first[1]]) + pattern[first.end() :]
        return re.sub(" +", " ", pattern)


def capitalised(sentence: str) -> str:
    """Return a sentence with a capital, unless its first word has its own spelling (``iNOS``)."""
    return sentence[0].upper() + sentence[1:] if sentence[:2].islower() else sentence


def gad_rows(grammar: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return distinct (sentence, label) rows, no two of which share 0.8 of their words."""
    draw, words = Draw(SEED), grammar["words"] | grammar["gad"]["words"]
    rows: list[tuple[str, str]] = []
    sets: list[set[str]] = []
    while len(rows) < GAD_INSTANCES:
        positive = draw.chance(0.525)
        _, pattern = draw.weighted(grammar["gad"]["positive" if positive else "negative"])
        sentence = capitalised(draw.expand(pattern, words))
        tokens = set(re.findall(r"\w+|[^\w\s]", sentence.lower()))
        if all(len(tokens & other) < 0.75 * len(tokens | other) for other in sets):
            sets.append(tokens)
            rows.append((sentence, str(int(positive != draw.chance(grammar["gad"]["label_noise"])))))
    return rows


def write_gad(folder: Path, rows: Sequence[tuple[str, str]]) -> None:
    """Write the folds: row i is in the test file of fold i mod FOLDS + 1, and in every other fold's train file."""
    for fold in range(FOLDS):
        test = [row for place, row in enumerate(rows) if place % FOLDS == fold]
        train = [row for place, row in enumerate(rows) if place % FOLDS != fold]
        indexed = [(str(index), *row) for index, row in enumerate(test)]
        write(folder / str(fold + 1) / "test.tsv", [("index", "sentence", "label"), *indexed])
        write(folder / str(fold + 1) / "train.tsv", train)


@dataclass
class Article:
    """A document under construction: its text, its mentions, its relations, and the pairs in the list of instances."""

    pmid: str
    text: str
    mentions: list[tuple[str, str, int, int]]  # slot (C or G), type, start, end
    relations: list[tuple[str, str, int, int]]  # group, name, chemical, gene: places in mentions
    listed: list[tuple[int, int]]

    def add(
        self, pattern: str, names: Mapping[str, str], relations: str, grammar: Mapping[str, Any], draw: Draw
    ) -> None:
        """Append one pattern with its slots filled: its mentions, its relations, its candidate pairs."""
        first, slots = len(self.mentions), {}
        for literal, slot in re.findall(r"([^{]*)(?:\{([CG]\d)\})?", pattern):
            self.text += literal
            if slot:
                name = capitalised(names[slot]) if self.text.endswith(("\n", ". ")) or not self.text else names[slot]
                slots[slot] = self._mention(slot[0], name, grammar)
        found = [relation.split("=") for relation in relations.split()]
        for pair, label in found:
            group, name = label.split("/")
            chemical, gene = (slots[slot] for slot in pair.split("-"))
            if not draw.chance(grammar["label_noise"]):
                self.relations.append((group, name, chemical, gene))
        places = range(first, len(self.mentions))
        self.listed += [
            (c, g) for c in places for g in places if self.mentions[c][0] == "C" and self.mentions[g][0] == "G"
        ]

    def _mention(self, kind: str, name: str, grammar: Mapping[str, Any]) -> int:
        """Append a mention, and the chemical inside its name if it has one; return its place."""
        start = len(self.text)
        self.text += name
        gene_type = "GENE-N" if name in grammar["words"]["families"] else "GENE-Y"
        self.mentions.append((kind, "CHEMICAL" if kind == "C" else gene_type, start, len(self.text)))
        place = len(self.mentions) - 1
        for inner in grammar["words"]["nested"]:
            if kind == "G" and name.lower().startswith(inner.lower()):
                self.mentions.append(("C", "CHEMICAL", start, start + len(inner)))
        return place


def article(pmid: str, grammar: Mapping[str, Any], words: Words, draw: Draw) -> Article:
    """Return a title and an abstract of four to six sentences about a few chemicals and genes."""
    made = Article(pmid, "", [], [], [])
    chemicals, genes = draw.several(words["C"], 3), draw.several(words["G"], 3)
    body = [draw.weighted(grammar["sentences"]) for _ in range(4 + int(draw.chance(0.5)) + int(draw.chance(0.3)))]
    if draw.chance(0.15):
        body.append(draw.weighted(grammar["crossing"]))
    patterns = {name: lines for name, lines in words.items() if name not in ("C", "G")}
    for number, (_, relations, pattern) in enumerate([(1, "", draw.pick(grammar["titles"])), *body]):
        two, three = draw.several(chemicals, 2), draw.several(genes, 2)
        names = {"C1": two[0], "C2": two[1], "G1": three[0], "G2": three[1]}
        made.add(capitalised(draw.expand(pattern, patterns)), names, relations, grammar, draw)
        made.text += "\n" if number == 0 else " "
    made.text = made.text.rstrip()
    return made


def write_chemprot(folder: Path, grammar: Mapping[str, Any], words: Words) -> None:
    """Write the three splits and the list of instances, which leaves a few candidate pairs out, as real lists do."""
    draw, number = Draw(SEED + 1), 0
    listed: list[tuple[str, ...]] = [("split", "pmid", "chemical", "gene", "label")]
    for split, size in DOCUMENTS.items():
        tables: dict[str, list[tuple[str, ...]]] = {
            name: [] for name in ("abstracts", "entities", "relations", "gold_standard")
        }
        for _ in range(size):
            number += 1
            made = article(f"{number:07d}", grammar, words, draw)
            gold: dict[tuple[int, int], str] = {}
            tables["abstracts"].append((made.pmid, *made.text.split("\n")))
            for place, (_, kind, start, end) in enumerate(made.mentions):
                row = (made.pmid, f"T{place + 1}", kind, str(start), str(end), made.text[start:end])
                tables["entities"].append(row)
            for group, name, chemical, gene in made.relations:
                arguments = (f"Arg1:T{chemical + 1}", f"Arg2:T{gene + 1}")
                scored = group in SCORED
                tables["relations"].append((made.pmid, group, "Y " if scored else "N ", name, *arguments))
                if scored:
                    tables["gold_standard"].append((made.pmid, group, *arguments))
                    gold[chemical, gene] = max(group, gold.get((chemical, gene), ""))
            for chemical, gene in made.listed:
                label = gold.get((chemical, gene), "false")
                if not draw.chance(0.02):
                    listed.append((split, made.pmid, f"T{chemical + 1}", f"T{gene + 1}", label))
        for name, rows in tables.items():
            write(folder / FILES[split].format(name).replace("gold_standard_gs", "gold_standard"), rows)
    write(folder / "lim_kang_instances.tsv", listed)


def write(path: Path, rows: Sequence[Sequence[str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join("\t".join(row) + "\n" for row in rows).encode("utf-8"))


def main(folder: Path) -> None:
    """Write both parts below ``folder``."""
    grammar = tomllib.loads(Path(__file__).with_name("sample_grammar.toml").read_text(encoding="utf-8"))
    write_gad(folder / "gad", gad_rows(grammar))
    words = grammar["words"] | grammar["chemprot"]["words"]
    write_chemprot(folder / "chemprot", grammar["chemprot"], words)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
