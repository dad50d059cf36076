"""Proper names for the corpus: a hand-made list and an endless supply of made-up ones.

Names must be copied from the prompt and not learnt by heart, so a large share of them is put
together from syllables and hardly ever repeats.
"""

import pathlib
import random


def _sections(path: pathlib.Path) -> dict[str, list[str]]:
    sections: dict[str, list[str]] = {}
    current: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            current = sections.setdefault(line[1:-1], [])
        else:
            current.extend(line.split())
    return sections


_LISTS = _sections(pathlib.Path(__file__).with_name("names.txt"))
FEMALE = _LISTS["female"]
MALE = _LISTS["male"]
TOWNS = _LISTS["town"]
PETS = _LISTS["pet"]
SURNAMES = _LISTS["surname"]

_ONSETS = ("b br c ch cl d dr f fl g gr h j k kr l m n p pl pr qu r s sh sk sl sn st t th tr v w y "
           "z").split() + ["", ""]
_VOWELS = "a a a e e e i i o o u ai ea ee ia io oa ou".split()
_MIDDLES = ("b d f g k l ll m n nd ng nn p r rd rk rl rm rn rr s ss st t th v x z").split()
_ENDS_FEMALE = "a a a ia ina ela ena ara ette elle ie y is ora ika".split()
_ENDS_MALE = "o us an en in on ar or ek el im ick ald ert os ley".split()
_ENDS_TOWN = ("ton ville burg ford ham wick dale mouth haven port field bridge wood stead by "
              "minster grad polis ria via o a").split()


def made_up(rng: random.Random, ends: list[str]) -> str:
    """A name of two to four syllables with one of the endings."""
    parts = [rng.choice(_ONSETS), rng.choice(_VOWELS), rng.choice(_MIDDLES)]
    if rng.random() < 0.35:
        parts += [rng.choice(_VOWELS), rng.choice(_MIDDLES)]
    end = rng.choice(ends)
    if end[0] not in "aeiouy" and rng.random() < 0.4:
        parts.append(rng.choice("aeio"))
    return "".join(parts + [end]).capitalize()


def person(rng: random.Random, made: float = 0.45) -> tuple[str, str]:
    """A given name and its pronoun ("she" or "he")."""
    female = rng.random() < 0.5
    if rng.random() < made:
        name = made_up(rng, _ENDS_FEMALE if female else _ENDS_MALE)
    else:
        name = rng.choice(FEMALE if female else MALE)
    return name, "she" if female else "he"


def people(rng: random.Random, count: int, made: float = 0.45) -> list[tuple[str, str]]:
    """So many different people."""
    chosen: dict[str, str] = {}
    while len(chosen) < count:
        name, pronoun = person(rng, made)
        chosen.setdefault(name, pronoun)
    return list(chosen.items())


def given(rng: random.Random, made: float = 0.45) -> str:
    """A given name."""
    return person(rng, made)[0]


def surname(rng: random.Random) -> str:
    """A family name."""
    if rng.random() < 0.5:
        return rng.choice(SURNAMES)
    return made_up(rng, ["son", "sen", "man", "ski", "ov", "er", "ley", "well", "stein", "ez", "i"])


def town(rng: random.Random, made: float = 0.4) -> str:
    """The name of a town."""
    return made_up(rng, _ENDS_TOWN) if rng.random() < made else rng.choice(TOWNS)


def pet(rng: random.Random, made: float = 0.35) -> str:
    """The name of a pet."""
    if rng.random() < made:
        return made_up(rng, ["o", "y", "ie", "a", "er", "us", "ix", "le", "bo", "kin"])
    return rng.choice(PETS)
