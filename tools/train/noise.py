"""Typing noise in user turns: what people leave out and mistype. Replies are never touched.

It is added after the tokenizer has been trained, so that misspelt words get no tokens of their own.
"""

import re

SHARE = 0.25  # of the user turns, before a kind's own factor

_WORD = re.compile(r"[A-Za-z]{4,}")
_NEAR = {"a": "sq", "b": "vn", "c": "xv", "d": "sf", "e": "wr", "f": "dg", "g": "fh", "h": "gj",
         "i": "uo", "j": "hk", "k": "jl", "l": "k", "m": "n", "n": "bm", "o": "ip", "p": "o",
         "q": "w", "r": "et", "s": "ad", "t": "ry", "u": "yi", "v": "cb", "w": "qe", "x": "zc",
         "y": "tu", "z": "x"}


def _lower(text, rng, kept):
    return text.lower()


def _no_end_mark(text, rng, kept):
    return text.rstrip(".?! ") or text


def _no_apostrophe(text, rng, kept):
    return text.replace("'", "")


def _misspelt(word, rng):
    at = rng.randrange(1, len(word) - 1)
    way = rng.randrange(4)
    if way == 0:
        return word[:at] + word[at + 1:]
    if way == 1:
        return word[:at] + word[at] + word[at:]
    if way == 2:
        return word[:at] + word[at + 1] + word[at] + word[at + 2:]
    return word[:at] + rng.choice(_NEAR[word[at].lower()]) + word[at + 1:]


def _typo(text, rng, kept):
    """One wrong word, two in a long text; never one that a reply says, for replies copy words."""
    spots = [m for m in _WORD.finditer(text) if m.group().lower() not in kept]
    rng.shuffle(spots)
    chosen = sorted(spots[:1 + (len(text) > 80)], key=lambda m: -m.start())
    for m in chosen:
        text = text[:m.start()] + _misspelt(m.group(), rng) + text[m.end():]
    return text


_WAYS = ((_lower, 0.5), (_no_end_mark, 0.45), (_no_apostrophe, 0.25), (_typo, 0.45))


def noisy(turns, rng, factor=1.0):
    """`turns` with noise in some of its user turns."""
    kept = None
    out = []
    for role, text in turns:
        if role == "user" and rng.random() < SHARE * factor:
            if kept is None:
                kept = {w.lower() for r, t in turns if r == "assistant" for w in _WORD.findall(t)}
            for way, chance in _WAYS:
                if rng.random() < chance:
                    text = way(text, rng, kept)
        out.append((role, text))
    return out
