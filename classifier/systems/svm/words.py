"""The closed word lists of the features: triggers of relations by their meaning, negations, function words.

In: nothing. Out: for a word in small letters, its classes. They were written down from general knowledge of how
abstracts state relations, before any test part was scored; no corpus was counted for them.
"""

from __future__ import annotations

from functools import lru_cache

# Class -> beginnings of words. A beginning that ends in "$" is the whole word.
TRIGGERS: dict[str, tuple[str, ...]] = {
    "associate": ("associat", "correlat", "relat", "link", "connect", "implicat", "involv", "depend"),
    "cause": ("caus", "contribut", "lead$", "leads$", "leading$", "led$", "result", "confer", "predispos", "trigger"),
    "risk": ("risk", "suscept", "odds", "hazard", "prone", "protect", "predict", "penetran"),
    "variant": ("polymorph", "mutat", "variant", "variat", "allel", "genotyp", "haplotyp", "snp", "delet", "insert"),
    "disease": ("patient", "diseas", "disorder", "syndrom", "cancer", "tumor", "tumour", "carcinom", "diabet", "onset"),
    "increase": ("increas", "elevat", "enhanc", "high$", "higher$", "greater$", "overexpress", "augment", "potentiat"),
    "decrease": ("decreas", "reduc", "lower", "diminish", "attenuat", "suppress", "downregul", "down-regul", "impair"),
    "inhibit": ("inhibit", "block", "prevent", "abolish", "abrogat", "inactivat", "silenc", "repress", "ic50"),
    "activate": ("activat", "stimulat", "induc", "upregul", "up-regul", "promot", "facilitat", "mediat"),
    "regulate": ("regulat", "modulat", "affect", "influenc", "effect", "alter", "express", "respons"),
    "agonist": ("agonis", "partial$"),
    "antagonist": ("antagonis", "revers$", "competitive"),
    "substrate": ("substrat", "metaboli", "cataly", "convert", "hydroly", "oxid", "synthes", "product", "transport"),
    "bind": ("bind", "bound$", "affinit", "interact", "ligand", "complex", "select", "target", "receptor"),
    "treat": ("treat", "therap", "administ", "dose", "respon"),
    "study": ("investigat", "examin", "stud", "determin", "whether$", "assess", "evaluat", "aim", "analys", "analyz"),
    "show": ("show", "demonstrat", "suggest", "indicat", "confirm", "support", "report", "found$", "observ", "reveal"),
    "significant": ("significan", "strong", "independent", "evidence", "statistic"),
}
NEGATIONS = frozenset(
    """
    no not nor neither none never without cannot lack lacks lacked lacking fail fails failed failing absence absent
    unlikely unrelated unaffected n't nonsignificant non-significant insignificant excluded exclude unable
    """.split()  # noqa: SIM905
)
FUNCTION_WORDS = frozenset(
    """
    a an the of in on at by for with from to into between among and or but nor as than that which who whom whose this
    these those it its they their we our is are was were be been being has have had do does did may might can could
    should would will not no if whether while during after before both either neither such also more most other through
    via against within under over all each any some there here when where only about
    """.split()  # noqa: SIM905
)


@lru_cache(maxsize=65536)
def trigger_classes(word: str) -> tuple[str, ...]:
    """Return the classes of triggers that a word in small letters belongs to, in the order of the table."""
    return tuple(name for name, beginnings in TRIGGERS.items() if any(_begins(word, each) for each in beginnings))


def is_negation(word: str) -> bool:
    """Say whether a word in small letters denies or tells of an absence."""
    return word in NEGATIONS


def _begins(word: str, beginning: str) -> bool:
    return word == beginning[:-1] if beginning.endswith("$") else word.startswith(beginning)
