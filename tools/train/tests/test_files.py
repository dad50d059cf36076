"""Batches and GGUF files. Needs numpy."""

import random
import tempfile
import unittest
from pathlib import Path

import support  # noqa: F401

try:
    import numpy as np
except ImportError:
    raise unittest.SkipTest("python3-numpy cannot be used")

import batches
import generate
import gguf


def write_corpus(folder, lengths, seed=1):
    """Documents of the given numbers of tokens; the last third of each is wanted."""
    rng = random.Random(seed)
    documents = generate.Documents()
    for n in lengths:
        ids = [rng.randrange(300) for _ in range(n)]
        documents.add(0, ids, [i >= n - n // 3 for i in range(n)])
    documents.save(Path(folder) / "train")
    return batches.Corpus(folder, "train")


class Batches(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        rng = random.Random(2)
        lengths = [rng.randrange(3, 60) for _ in range(400)] + [200]
        self.corpus = write_corpus(self.folder.name, lengths)

    def tearDown(self):
        self.folder.cleanup()

    def test_rows_hold_whole_documents(self):
        reader = batches.Reader(self.corpus, 4, 64, seed=3)
        seen = 0
        for _ in range(20):
            batch = reader.batch()
            self.assertGreater(batch.used, 0.85 * 4 * 64)
            for r in range(4):
                for number in range(batch.documents[r].max() + 1):
                    at = np.flatnonzero(batch.documents[r] == number)
                    self.assertTrue((np.diff(at) == 1).all())
                    self.assertEqual(batch.positions[r, at].tolist(), list(range(len(at))))
                    wanted = at[batch.targets[r, at] >= 0]
                    for a in wanted[wanted < at[-1]]:
                        self.assertEqual(batch.targets[r, a], batch.tokens[r, a + 1])
                        seen += 1
        self.assertGreater(seen, 500)

    def test_every_document_once_an_epoch(self):
        reader = batches.Reader(self.corpus, 4, 64, seed=3)
        positions = 0
        while reader.epoch == 0:
            positions += reader.batch().used
        one = sum(min(64, int(n) - 1) for n in np.diff(self.corpus.starts))
        self.assertAlmostEqual(positions / one, 1, delta=0.1)

    def test_focus_halves_the_others(self):
        self.corpus.kinds[::4] = 1
        counts = []
        for focus in (frozenset(), frozenset([1])):
            reader, taken = batches.Reader(self.corpus, 4, 64, seed=3), []
            reader.focus = focus
            while reader.epoch == 0:
                taken.append(reader._take())
            counts.append(np.bincount(self.corpus.kinds[taken[:-1]], minlength=2))
        self.assertEqual(counts[0].sum(), len(self.corpus))
        self.assertEqual(counts[1][1], counts[0][1])
        self.assertAlmostEqual(counts[1][0] / counts[0][0], 0.5, delta=0.1)

    def test_a_restored_reader_goes_on(self):
        one = batches.Reader(self.corpus, 4, 64, seed=3)
        for _ in range(7):
            one.batch()
        two = batches.Reader(self.corpus, 4, 64, seed=3)
        two.restore(one.state())
        for _ in range(30):  # over the end of an epoch
            self.assertTrue((one.batch().tokens == two.batch().tokens).all())

    def test_damaged_files_are_named(self):
        path = Path(self.folder.name) / "train.tokens"
        path.write_bytes(path.read_bytes()[:-2])
        with self.assertRaisesRegex(batches.common.Failure, "train"):
            batches.Corpus(self.folder.name, "train")


class Gguf(unittest.TestCase):
    def test_round_trip(self):
        metadata = [("a.text", gguf.STRING, "naïve"), ("a.count", gguf.U32, 7),
                    ("a.real", gguf.F32, 0.5), ("a.flag", gguf.BOOL, True),
                    ("a.words", (gguf.ARRAY, gguf.STRING), ["x", "", "日"]),
                    ("a.kinds", (gguf.ARRAY, gguf.I32), [1, -3])]
        tensors = [("one", gguf.TYPE_F32, np.arange(5, dtype=np.float32)),
                   ("two", gguf.TYPE_F16, np.arange(6, dtype=np.float16).reshape(2, 3))]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "file.gguf"
            gguf.write(path, metadata, tensors)
            found, arrays = gguf.read(path)
            self.assertEqual(path.stat().st_size % gguf.ALIGNMENT, 0)
        self.assertEqual(found, {key: value for key, _, value in metadata})
        self.assertEqual(arrays["one"], (gguf.TYPE_F32, [5], tensors[0][2].tobytes()))
        self.assertEqual(arrays["two"], (gguf.TYPE_F16, [3, 2], tensors[1][2].tobytes()))


if __name__ == "__main__":
    unittest.main()
