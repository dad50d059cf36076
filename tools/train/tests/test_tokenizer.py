"""The tokenizer: words, round trips, training, its file."""

import random
import tempfile
import unittest
from pathlib import Path

import support  # noqa: F401  (puts the programs on the path)
import tokenizer as bpe

# text -> words, worked out by hand from the expression of "qwen2"
WORDS = [
    ("", []),
    ("Hello world", ["Hello", " world"]),
    ("It's I'LL they've", ["It", "'s", " I", "'LL", " they", "'ve"]),
    ("12 + 345", ["1", "2", " +", " ", "3", "4", "5"]),
    ("a  b", ["a", " ", " b"]),
    ("a \n\n b", ["a", " \n\n", " b"]),
    ("end.\n\nNext", ["end", ".\n\n", "Next"]),
    ("tab\tword", ["tab", "\tword"]),
    ("Q4_K", ["Q", "4", "_K"]),
    ("x  ", ["x", "  "]),
    ("naïve Ωmega ²", ["naïve", " Ωmega", " ", "²"]),
    ("a\u0301b", ["a", "\u0301b"]),
    ("\x1c ok", ["\x1c", " ok"]),
    ("don't!?\r\nyes", ["don", "'t", "!?\r\n", "yes"]),
]

TEXTS = ["The cat sat on the mat.", "A cat and a hat; the cat is fat.", "12 and 34 make 46.",
         "Der Käse, 日本語, 🙂!", "tabs\tand\nlines\r\n\n  spaces   "]


def small():
    return bpe.learn(bpe.count_words(TEXTS * 20), 320, least=2)


class Words(unittest.TestCase):
    def test_rows(self):
        for text, expected in WORDS:
            self.assertEqual(bpe.words(text), expected, repr(text))

    def test_nothing_is_lost(self):
        rng = random.Random(3)
        letters = "ab 1\n\t.'s\u00e9\u4e00\u0301\x1c\u2003\u00b2_"
        for _ in range(2000):
            text = "".join(rng.choice(letters) for _ in range(rng.randrange(12)))
            self.assertEqual("".join(bpe.words(text)), text)


class Bpe(unittest.TestCase):
    def test_round_trip(self):
        tokens = small()
        for text in [*TEXTS, *(t for t, _ in WORDS), "<|im_end|>", "unseen Straße 9²"]:
            self.assertEqual(tokens.decode(tokens.encode(text)), text)

    def test_control_tokens_are_not_read_from_text(self):
        tokens = small()
        self.assertLess(max(tokens.encode("<|im_start|>user<|im_end|>")), tokens.endoftext)

    def test_frequent_words_become_one_token(self):
        tokens = small()
        self.assertEqual(len(tokens.encode(" cat")), 1)
        self.assertEqual(tokens.encode("46"), [ord("4"), ord("6")])

    def test_training_does_not_depend_on_the_order(self):
        counts = bpe.count_words(TEXTS)
        turned = dict(reversed(list(counts.items())))
        self.assertEqual(bpe.learn(counts, 300, 1).merges, bpe.learn(turned, 300, 1).merges)

    def test_merges_follow_the_counts(self):
        # "ab" occurs 5 times, "bc" 4 times, 3 of them inside "abc", where the first merge takes b
        tokens = bpe.learn({b"abc": 3, b"ab": 2, b"bc": 1}, 256 + 3 + 3, least=1)
        self.assertEqual([tokens.pieces[256 + i] for i in range(3)], [b"ab", b"abc", b"bc"])

    def test_no_piece_twice(self):
        rng = random.Random(1)
        counts = {bytes(rng.choice(b"abc") for _ in range(rng.randrange(1, 9))): rng.randrange(1, 9)
                  for _ in range(300)}
        tokens = bpe.learn(counts, 500, least=1)
        self.assertEqual(len(set(tokens.pieces)), len(tokens.pieces))

    def test_file(self):
        tokens = small()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "tokenizer.json"
            tokens.save(path)
            again = bpe.Tokenizer.load(path)
        self.assertEqual(again.merges, tokens.merges)
        self.assertEqual(again.im_end, again.size - 1)

    def test_chat(self):
        tokens = small()
        ids, wanted = tokens.chat([("system", "S"), ("user", "Hi"), ("assistant", "Yes.")])
        self.assertEqual(tokens.decode(ids), "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nHi"
                                             "<|im_end|>\n<|im_start|>assistant\nYes.<|im_end|>")
        said = tokens.decode([i for i, w in zip(ids, wanted) if w])
        self.assertEqual(said, "Yes.<|im_end|>")


if __name__ == "__main__":
    unittest.main()
