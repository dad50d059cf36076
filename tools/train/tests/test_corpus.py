"""The corpus files: shares, the held-out split, noise, determinism."""

import random
import tempfile
import types
import unittest
from pathlib import Path
from unittest import mock

import support  # noqa: F401
import common
import corpus
import generate
import noise
import tokenizer as bpe


def kind(weight, text, **more):
    """A module that makes documents about `text` and a number."""
    def documents(rng, count):
        for _ in range(count):
            n = rng.randrange(10 ** 6)
            yield [("user", f"Tell me about {text} {n}."), ("assistant", f"{text} is {n}.")]
    return types.SimpleNamespace(WEIGHT=weight, documents=documents, **more)


KINDS = {"apples": kind(3.0, "The apple"), "pears": kind(1.0, "A pear", NOISE=0.0)}


class Made(unittest.TestCase):
    def test_shares(self):
        size = {"apples": 0, "pears": 0}
        for name, turns in generate.made(KINDS, 1, 0, 200_000):
            size[name] += len(generate.text_of(turns))
        self.assertAlmostEqual(size["apples"] / 150_000, 1, delta=0.03)
        self.assertAlmostEqual(size["pears"] / 50_000, 1, delta=0.03)

    def test_few_documents_are_asked_for_again(self):
        few = types.SimpleNamespace(WEIGHT=1.0, documents=lambda rng, count: iter(
            [[("user", "a"), ("assistant", "b" * 100)]] * min(count, 5)))
        made = list(generate.made({"few": few}, 1, 0, 2000))
        self.assertGreater(len(made), 10)

    def test_documents_that_cannot_be_shown(self):
        for turns in ([], [("user", "a")], [("assistant", "a")],
                      [("user", "a"), ("assistant", " ")],
                      [("user", "a"), ("system", "b"), ("assistant", "c")]):
            with self.assertRaises(common.Failure):
                generate.checked("kind", turns)
        generate.checked("kind", [("system", "s"), ("user", "a"), ("assistant", "b")])


class Files(unittest.TestCase):
    def make(self, folder):
        """Two shards of KINDS, first and late ones, joined; returns {file name: bytes}."""
        work = Path(folder)
        bpe.learn({b"apple": 9, b" is": 9}, 300, 2).save(work / "tokenizer.json")
        with mock.patch.object(corpus, "kinds", lambda late=False: KINDS):
            for shards in (generate.SHARDS, generate.LATE_SHARDS):
                for number in range(2):
                    generate.make_shard((folder, work / shards, 7, number, 60_000))
        for shards, part, name in ((generate.SHARDS, "train", "train"),
                                   (generate.SHARDS, "held", "held"),
                                   (generate.LATE_SHARDS, "train", "late")):
            generate.join(work / shards, part, work / name, 2)
        return {path.name: path.read_bytes() for path in work.iterdir() if path.is_file()}

    def test_same_seed_same_bytes_and_nothing_held_is_trained(self):
        with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
            files = self.make(one)
            self.assertEqual(files, self.make(two))
        documents = {}
        for name in ("train", "late", "held"):
            tokens = generate.array("H", files[f"{name}.tokens"])
            starts = generate.array("Q", files[f"{name}.starts"])
            self.assertEqual(starts[-1], len(tokens))
            self.assertEqual(len(files[f"{name}.kinds"]), len(starts) - 1)
            documents[name] = {tuple(tokens[a:b]) for a, b in zip(starts, starts[1:])}
        self.assertGreater(len(documents["held"]), 2)
        self.assertGreater(len(documents["train"]), 100 * len(documents["held"]))
        self.assertFalse(documents["held"] & (documents["train"] | documents["late"]))
        self.assertNotEqual(documents["train"], documents["late"])

    def test_wanted_tokens_are_the_reply(self):
        with tempfile.TemporaryDirectory() as folder:
            files = self.make(folder)
            tokens = bpe.Tokenizer.load(Path(folder) / "tokenizer.json")
        starts = generate.array("Q", files["train.starts"])
        first = generate.array("H", files["train.tokens"])[:starts[1]]
        said = tokens.decode([t & 0x7fff for t in first if t & generate.WANTED])
        self.assertRegex(said, r"^(The apple|A pear) is \d+\.<\|im_end\|>$")


class Noise(unittest.TestCase):
    TURNS = [("system", "Answer briefly."),
             ("user", "My name is Marta. Where's the library, please?"),
             ("assistant", "Hello Marta, the library is there.")]

    def test_replies_stay_and_words_of_replies_are_not_misspelt(self):
        rng, changed = random.Random(1), 0
        for _ in range(2000):
            out = noise.noisy(self.TURNS, rng)
            self.assertEqual((out[0], out[2]), (self.TURNS[0], self.TURNS[2]))
            self.assertIn("marta", out[1][1].lower())
            self.assertIn("library", out[1][1].lower())
            changed += out[1] != self.TURNS[1]
        self.assertGreater(changed, 2000 * noise.SHARE * 0.5)
        self.assertLess(changed, 2000 * noise.SHARE * 1.2)

    def test_none_where_a_kind_wants_none(self):
        rng = random.Random(1)
        for _ in range(500):
            self.assertEqual(noise.noisy(self.TURNS, rng, 0.0), self.TURNS)


class Kinds(unittest.TestCase):
    """The real modules: each makes documents that can be shown, the same ones for the same seed."""

    def test_every_kind(self):
        for name, module in corpus.kinds(late=True).items():
            with self.subTest(name):
                self.assertGreater(module.WEIGHT, 0)
                made = [list(module.documents(random.Random(5), 40)) for _ in range(2)]
                self.assertEqual(made[0], made[1])
                self.assertTrue(made[0])
                for turns in made[0]:
                    generate.checked(name, turns)


if __name__ == "__main__":
    unittest.main()
