"""The byte-level BPE tokenizer: training, encoding, decoding, its JSON file.

Ids: 256 bytes, then merges in the order they were learnt, then the three control tokens. Texts are
first cut into words exactly as GGUF readers do for the pre-tokenizer "qwen2"; merges never cross a
cut. Control tokens are never recognised inside text: only the caller places them.
"""

import functools
import heapq
import json
import re
import sys
import unicodedata
from collections import Counter, defaultdict

CONTROL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")

# White space as Unicode's White_Space has it (Python's \s adds four control characters).
_SPACE = "\\t-\\r \\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000"

# The words of "qwen2": contractions; letters with one other character before them; single digits;
# other marks with a space before and line breaks after; line breaks; white space.
_WORDS = (r"'(?:[sdmt]|ll|re|ve)".replace("[sdmt]", "[sdmtSDMT]").replace("ll", "[lL][lL]")
          .replace("re", "[rR][eE]").replace("ve", "[vV][eE]") +
          r"|[^\r\n{L}{N}]?[{L}]+|[{N}]| ?[^{S}{L}{N}]+[\r\n]*|[{S}]*[\r\n]+"
          r"|[{S}]+(?![^{S}])|[{S}]+")


def _compile(letters, numbers):
    return re.compile(_WORDS.replace("{L}", letters).replace("{N}", numbers).replace("{S}", _SPACE))


def _ranges(category):
    """A character class of every code point whose category starts with the letter `category`."""
    parts, first = [], None
    for code in range(sys.maxunicode + 2):
        inside = code <= sys.maxunicode and unicodedata.category(chr(code))[0] == category
        if inside and first is None:
            first = code
        elif not inside and first is not None:
            parts.append(f"\\U{first:08x}-\\U{code - 1:08x}")
            first = None
    return "".join(parts)


_ASCII = _compile("A-Za-z", "0-9")


@functools.lru_cache(maxsize=1)
def _unicode():
    return _compile(_ranges("L"), _ranges("N"))  # takes half a second, so only when needed


def words(text):
    """`text` cut into the words of the pre-tokenizer; joined they give the text again."""
    return (_ASCII if text.isascii() else _unicode()).findall(text)


def byte_letters():
    """The printable character that stands for each byte in GGUF and JSON files (256 of them)."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = iter(range(256, 512))
    return [chr(b) if b in plain else chr(next(others)) for b in range(256)]


class Tokenizer:
    """Ids to bytes and back. `merges` is a list of (left id, right id)."""

    def __init__(self, merges):
        self.merges = [tuple(pair) for pair in merges]
        self.pieces = [bytes([b]) for b in range(256)]
        for left, right in self.merges:
            self.pieces.append(self.pieces[left] + self.pieces[right])
        self.rank = {pair: 256 + i for i, pair in enumerate(self.merges)}
        first = len(self.pieces)
        self.endoftext, self.im_start, self.im_end = range(first, first + len(CONTROL))
        self.size = first + len(CONTROL)
        self._cache = {}

    def encode(self, text):
        """The ids of `text`, a list. No control tokens, nothing added."""
        cache, ids = self._cache, []
        for word in words(text):
            known = cache.get(word)
            if known is None:
                known = self._encode_word(word)
                if len(cache) < 1_000_000:
                    cache[word] = known
            ids += known
        return ids

    def decode(self, ids):
        """The text of `ids`; control tokens become their names, broken UTF-8 a replacement mark."""
        parts = [self.pieces[i] if i < len(self.pieces) else CONTROL[i - len(self.pieces)].encode()
                 for i in ids]
        return b"".join(parts).decode("utf-8", errors="replace")

    def _encode_word(self, word):
        ids = list(word.encode("utf-8", errors="replace"))
        while len(ids) > 1:
            best = min(((self.rank.get(pair, 1 << 30), i)
                        for i, pair in enumerate(zip(ids, ids[1:]))))
            if best[0] == 1 << 30:
                break
            ids[best[1]:best[1] + 2] = [best[0]]
        return ids

    def chat(self, turns):
        """A conversation as ChatML: (ids, wanted), wanted[i] true where the model is to say ids[i].

        That is the assistant's text with its end token. The last turn ends at that token.
        """
        ids, wanted = [], []
        for role, text in turns:
            head = [self.im_start, *self.encode(role + "\n")]
            body = [*self.encode(text), self.im_end]
            if ids:
                head = [*self.encode("\n"), *head]
            ids += head + body
            wanted += [False] * len(head) + [role == "assistant"] * len(body)
        return ids, wanted

    def save(self, path):
        letters = byte_letters()
        shown = ["".join(letters[b] for b in piece) for piece in self.pieces]
        data = {"kind": "byte-level BPE", "pre": "qwen2", "control": list(CONTROL),
                "size": self.size,
                "merges": [f"{shown[left]} {shown[right]}" for left, right in self.merges]}
        with open(path, "w", encoding="utf-8") as file:
            json.dump(data, file, ensure_ascii=False, indent=0)

    @staticmethod
    def load(path):
        with open(path, encoding="utf-8") as file:
            data = json.load(file)
        ids = {letter: b for b, letter in enumerate(byte_letters())}
        merges = []
        for line in data["merges"]:
            left, right = line.split(" ")
            merges.append((ids[left], ids[right]))
            ids.setdefault(left + right, 256 + len(merges) - 1)
        return Tokenizer(merges)


def count_words(texts):
    """How often each word occurs, as a Counter of the words' bytes."""
    counts = Counter()
    for text in texts:
        counts.update(words(text))
    return Counter({word.encode("utf-8", errors="replace"): n for word, n in counts.items()})


def learn(counts, size, least=8):
    """A Tokenizer of at most `size` ids from word counts.

    The most frequent pair of neighbours is merged until the ids are used up or no pair occurs
    `least` times. Equal counts are decided by the lower ids, so the result depends on nothing else.
    """
    ordered = sorted(counts.items())
    spelt = [list(word) for word, _ in ordered]
    weight = [n for _, n in ordered]
    pairs, places = Counter(), defaultdict(set)
    for at, ids in enumerate(spelt):
        for pair in zip(ids, ids[1:]):
            pairs[pair] += weight[at]
            places[pair].add(at)
    heap = [(-n, pair) for pair, n in pairs.items()]
    heapq.heapify(heap)
    merges, seen = [], set(bytes([b]) for b in range(256))
    pieces = [bytes([b]) for b in range(256)]
    while heap and 256 + len(merges) + len(CONTROL) < size:
        negative, pair = heapq.heappop(heap)
        if pairs[pair] != -negative:
            continue  # an old entry: the count has changed since, and was pushed again
        if -negative < least:
            break
        joined = pieces[pair[0]] + pieces[pair[1]]
        if joined in seen:  # the same text by another way: a file may not name a token twice
            pairs[pair] = 0
            continue
        seen.add(joined)
        pieces.append(joined)
        merges.append(pair)
        for changed in _merge(pair, 255 + len(merges), spelt, weight, pairs, places):
            if pairs[changed] > 0:
                heapq.heappush(heap, (-pairs[changed], changed))
    return Tokenizer(merges)


def _merge(pair, new, spelt, weight, pairs, places):
    """Joins `pair` into the id `new` in every word; returns the pairs whose counts moved."""
    moved = set()
    for at in places.pop(pair):
        ids, n = spelt[at], weight[at]
        before = list(zip(ids, ids[1:]))
        out, i = [], 0
        while i < len(ids):
            if i + 1 < len(ids) and (ids[i], ids[i + 1]) == pair:
                out.append(new)
                i += 2
            else:
                out.append(ids[i])
                i += 1
        spelt[at] = out
        after = list(zip(out, out[1:]))
        for old in before:
            pairs[old] -= n
        for fresh in after:
            pairs[fresh] += n
            places[fresh].add(at)
        moved.update(before, after)
    moved.discard(pair)
    return sorted(moved)
