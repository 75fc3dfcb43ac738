"""Full stops that end no sentence: which boundaries of a sentence splitter stand after an abbreviation.

In: a text, and the boundary between two neighbouring sentences that a splitter made of it. Out: whether the two are one
sentence.

Sentence splitters know the abbreviations of newspapers. In biomedical text they cut at "Smith et al. (2004)", "Bacillus
sp. KT12" and "50 mg b.i.d. for a week", and each pair of mentions across the cut is lost. The abbreviations of the
first group below always want something after them. Those of the second may end a sentence; they do so where the next
word is written as the first word of a sentence is. Where both readings are possible, the two stay one sentence: a pair
too many is scored like any other, but a pair that is lost is never seen.

Only a few characters around each boundary are looked at, so the time is linear in the number of boundaries.
"""

from __future__ import annotations

import re

# Raise the number when a change below changes what comes out; it is part of the splitter's recorded name.
ABBREVIATIONS = "abbreviations-1"

_REACH = 24  # characters looked at on each side; the longest abbreviation is shorter

# Always followed by what they belong to: a name, a number, a kind of a species. Blanks in these patterns mean nothing.
_OPENING = r"""
    approx | cc?a | cf | viz | vs | e\.g | eg | i\.e | ie | incl | esp | Drs? | Profs? | Mrs? | Ms | Messrs | St
    | [Ff]igs? | [Ee]qs? | [Ee]qns? | [Rr]efs? | [Ss]ects? | [Cc]haps? | [Ss]uppl | [Tt]ab | [Vv]ols? | pp | nr
    | subsp | ssp | subspp | var | cv | pv | bv | biovar | sv | serov? | ser | f\.\s?sp | aff | et\sseq
"""
# May end a sentence.
_EITHER = r"""
    et\sal | spp? | sp\.\snov | nov | gen | comb | str | c | etc
    | concn? | [Nn]os? | resp | temp | wt | mol | equiv | soln? | sol | abs | diam | avg | std | dev
    | anhyd | aq | dil | calcd? | [btq]\.i\.d | [btq]id | q\.d | o\.d | h\.s
    | p\.o | i\.c\.v | i\.[apmvtngdr] | s\.c | p\.r | s\.l | p\.i | d\.c | a\.m | p\.m
    | ibid | op\.\scit | loc\.\scit | Ser | Thr | Tyr
    | Inc | Corp | Co | Ltd | Jr | Sr | Ph\.D | M\.D | U\.S | U\.S\.A | U\.K | E\.U
    | Univ | Dept | Inst | Biol | Chem | Biochem | Physiol | Pharmacol | Med | Proc | Natl | Acad | Sci | Rev | Res
    | Exp | Clin | Mol | Int | Am | Eur
"""
# Mostly the end of a sentence; not before a number or a bracket.
_UNITS = "secs? | mins? | hrs? | wks? | mos? | yrs? | max"

_WORD = r"(?<![\w.-])"  # an abbreviation is a word of its own
_AFTER_OPENING, _AFTER_EITHER, _AFTER_UNIT = (
    re.compile(rf"{_WORD} (?: {group} ) \. \Z", re.VERBOSE) for group in (_OPENING, _EITHER, _UNITS)
)
_BEFORE_NAMES = re.compile(rf"{_WORD}(?:Inc|Biol|Natl|Acad|Proc|sp\.\snov|U\.S)\.\Z")  # a capitalised name may follow
_OPENER = re.compile(
    r"(?:A|After|Although|An|As|At|Both|Conclusions?|For|From|Here|However|I|In|It|Its|Methods?|Our|Results?|"
    r"Th(?:at|e|ese|ey|ere|is|ose|us)|To|We|When|While|[A-Z]{4,}:?)(?![\w-])"
)
_CAPITALISED = re.compile(r"[\"'\u201c\u2018]?[A-Z][a-z]+(?:-[a-z]+)*(?![\w-])")
_COUNTED = re.compile(r"[\d(\[]")
# An author's or a species' name cut short, before a plain word: "Enc. cuniculi", "Sieb. et Zucc.".
_SHORT_NAME = re.compile(rf"{_WORD}[A-Z][A-Za-z]{{0,5}}\.\Z")
_PLAIN = re.compile(r"(?!(?:alpha|beta|gamma|delta|kappa|cis|trans)\b)[a-z]{2,}(?=[\s,;.])")


def ends_no_sentence(text: str, end: int, start: int) -> bool:
    """Return whether a boundary stands after an abbreviation, inside of a sentence.

    Args:
        text: a text in which a splitter found one sentence that ends at ``end`` and the next, which begins at
            ``start``; both in characters.
        end: offset after the last character of the first.
        start: offset of the first character of the second.
    """
    if text[end - 1] != ".":
        return False
    before, after = text[max(0, end - _REACH) : end], text[start : start + _REACH]
    if _AFTER_OPENING.search(before) or (_SHORT_NAME.search(before) and _PLAIN.match(after)):
        return True
    if _AFTER_UNIT.search(before):
        return bool(_COUNTED.match(after))
    if not _AFTER_EITHER.search(before) or _OPENER.match(after):
        return False
    return bool(_BEFORE_NAMES.search(before)) or not _CAPITALISED.match(after)
