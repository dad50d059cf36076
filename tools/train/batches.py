"""Reads the corpus files and packs documents into batches, in an order fixed by the seed.

A batch is `rows` rows of `context` positions; each row holds whole documents. What does not fit
waits for the next batch. The state of a reader is small and plain, so that training resumes
exactly.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

import common

WANTED = 0x8000
IGNORED = -1


class Corpus:
    """Documents of DIR/NAME.tokens, mapped, not read."""

    def __init__(self, work, name):
        stem = Path(work) / name
        for part in ("tokens", "starts", "kinds"):
            if not stem.with_suffix("." + part).exists():
                raise common.Failure(f"{stem}.{part} is missing; make the corpus first "
                                     f"(generate.py)")
        starts = np.fromfile(f"{stem}.starts", dtype=np.uint64).astype(np.int64)
        self.tokens = np.memmap(f"{stem}.tokens", dtype=np.uint16, mode="r") if starts[-1] else \
            np.zeros(0, dtype=np.uint16)
        self.starts = starts
        self.kinds = np.fromfile(f"{stem}.kinds", dtype=np.uint8)
        if len(self.tokens) != starts[-1] or len(self.kinds) != len(starts) - 1:
            raise common.Failure(f"{stem}.*: {len(self.tokens)} tokens and {len(self.kinds)} "
                                 f"kinds, but the starts say {starts[-1]} and {len(starts) - 1}; "
                                 f"make the corpus anew")

    def __len__(self):
        return len(self.kinds)

    def document(self, index):
        """(ids, wanted) of one document."""
        raw = np.asarray(self.tokens[self.starts[index]:self.starts[index + 1]])
        return (raw & (WANTED - 1)).astype(np.int64), raw >= WANTED


@dataclass
class Batch:
    """All [rows, context] int64. Padding is a document of its own without targets."""

    tokens: object
    targets: object     # IGNORED where nothing is to be said
    documents: object   # number of the document within its row
    positions: object   # within the document
    used: int           # positions that are not padding
    wanted: int         # targets that count


def packed(corpus, chosen, rows, context):
    """One batch of the documents `chosen` as far as they fit; returns (batch, those left over).

    A document of n ids fills n - 1 positions; what exceeds the context is cut off.
    """
    lengths = [min(context, int(corpus.starts[d + 1] - corpus.starts[d]) - 1) for d in chosen]
    room, held, left = [context] * rows, [[] for _ in range(rows)], []
    for d, length in zip(chosen, lengths):
        fits = [(room[r], r) for r in range(rows) if room[r] >= length]
        if not fits:
            left.append(d)
            continue
        best = min(fits)[1]
        held[best].append((d, length))
        room[best] -= length
    shape = (rows, context)
    batch = Batch(np.zeros(shape, np.int64), np.full(shape, IGNORED, np.int64),
                  np.zeros(shape, np.int64), np.zeros(shape, np.int64), 0, 0)
    for r in range(rows):
        at = 0
        for number, (d, length) in enumerate(held[r]):
            ids, wanted = corpus.document(d)
            here = slice(at, at + length)
            batch.tokens[r, here] = ids[:length]
            batch.targets[r, here] = np.where(wanted, ids, IGNORED)[1:length + 1]
            batch.documents[r, here] = number
            batch.positions[r, here] = np.arange(length)
            at += length
        batch.documents[r, at:] = len(held[r])
        batch.positions[r, at:] = np.arange(context - at)
        batch.used += at
    batch.wanted = int((batch.targets >= 0).sum())
    return batch, left


class Reader:
    """Batches without end: each epoch is a permutation of the documents."""

    def __init__(self, corpus, rows, context, seed):
        self.corpus, self.rows, self.context, self.seed = corpus, rows, context, seed
        self.epoch, self.next, self.waiting = 0, 0, []
        self.focus = frozenset()  # kinds; if any, half of the documents of the others are left out
        self._order = None

    def state(self):
        return {"epoch": self.epoch, "next": self.next, "waiting": [int(d) for d in self.waiting]}

    def restore(self, state):
        self.epoch, self.next, self.waiting = state["epoch"], state["next"], list(state["waiting"])
        self._order = None

    def _take(self):
        if self._order is None:
            self._order = np.random.Generator(np.random.PCG64([self.seed, self.epoch])) \
                .permutation(len(self.corpus))
        if self.next == len(self._order):
            self.epoch, self.next, self._order = self.epoch + 1, 0, None
            return self._take()
        self.next += 1
        document = int(self._order[self.next - 1])
        if self.focus and self.next % 2 and self.corpus.kinds[document] not in self.focus:
            return self._take()
        return document

    def batch(self):
        """The next batch, from a pool a tenth larger: short documents fill the gaps."""
        starts, pool = self.corpus.starts, list(self.waiting)
        length = lambda d: min(self.context, int(starts[d + 1] - starts[d]) - 1)
        size = sum(map(length, pool))
        while size < 1.1 * self.rows * self.context:
            pool.append(self._take())
            size += length(pool[-1])
        pool.sort(key=length, reverse=True)  # stable: of equal ones the longest waiting goes first
        batch, self.waiting = packed(self.corpus, pool, self.rows, self.context)
        return batch
