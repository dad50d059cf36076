"""What makes the shipped file and its card, without the program: texts, kept steps, the card."""

import contextlib
import io
import json
import random
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import support  # noqa: F401

import card
import common
import finish
import generate
import goals
import tokenizer as bpe


def estimate(value):
    return {"value": value, "error": value / 10}


def statistics(kld, same_top):
    return {"positions": 900, "kld": {"mean": estimate(kld), "q99": estimate(9 * kld)},
            "same_top": estimate(same_top), "perplexity_ratio": estimate(1.01)}


class Texts(unittest.TestCase):
    def setUp(self):
        self.tokens = bpe.Tokenizer([])

    def test_chunks_are_conversations(self):
        short, long = list(range(5)), list(range(finish.CHUNK + 9))
        ids = finish.chunks_of([short, long], self.tokens.endoftext)
        self.assertEqual(len(ids), 2 * finish.CHUNK)
        self.assertEqual(ids[:6], [*short, self.tokens.endoftext])
        self.assertEqual(ids[finish.CHUNK:], long[:finish.CHUNK])

    def test_what_users_ask(self):
        ids, _ = self.tokens.chat([("system", "Be brief."), ("user", "What is  Q4_K?"),
                                   ("assistant", "A type."), ("user", "And Q6_K?"),
                                   ("assistant", "Another.")])
        self.assertEqual(finish.asked(self.tokens, ids), ["what is q4_k", "and q6_k"])

    def test_documents_are_spread_evenly(self):
        made = generate.Documents()
        for n in range(10):
            made.add(0, [n] * (n + 1), [True] * (n + 1))
        with tempfile.TemporaryDirectory() as folder:
            made.save(Path(folder) / "train")
            self.assertEqual(list(finish.documents(folder, "train", 3)), [[0], [3] * 4, [6] * 7])
            self.assertEqual(len(list(finish.documents(folder, "train", 99))), 10)

    def test_calibration_has_no_held_out_question(self):
        forbidden = finish.read_set("questions")[0]["question"]
        rng, made = random.Random(1), generate.Documents()
        for n in range(3000):
            question = forbidden if n % 3 == 0 else f"what is {rng.randrange(10 ** 6)}?"
            made.add(0, *self.tokens.chat([("user", question), ("assistant", "Yes.")]))
        with tempfile.TemporaryDirectory() as folder:
            made.save(Path(folder) / "train")
            o, path = mock.Mock(work=Path(folder)), Path(folder) / "ids"
            finish.calibration(o, self.tokens, path)
            ids = list(map(int, path.read_text().split()))
        self.assertEqual(len(ids), finish.CALIBRATION_CHUNKS * finish.CALIBRATION_CONTEXT)
        text = self.tokens.decode(ids)
        self.assertIn("what is ", text)
        self.assertNotIn(forbidden, text)


class Kept(unittest.TestCase):
    def test_a_step_is_made_once_from_the_same_inputs(self):
        with tempfile.TemporaryDirectory() as folder, mock.patch("builtins.print"):
            given = Path(folder) / "input"
            given.write_text("one")
            made = []

            def make(path):
                made.append(given.read_text())
                path.write_text(made[-1])

            for text, times in (("one", 1), ("one", 1), ("two!", 2)):
                given.write_text(text)
                steps = finish.Steps(Path(folder) / "steps", again=False)
                self.assertEqual(steps.made("x", [given, 5], make).read_text(), text)
                self.assertEqual(len(made), times)
            steps.made("x", [given, 6], make)
            self.assertEqual(len(made), 3)

    def test_a_step_that_fails_leaves_nothing(self):
        with tempfile.TemporaryDirectory() as folder, mock.patch("builtins.print"):
            steps = finish.Steps(folder, again=False)
            with self.assertRaises(common.Failure):
                steps.made("x", [], lambda path: self.fail_halfway(path))
            self.assertEqual(list(Path(folder).iterdir()), [])

    def fail_halfway(self, path):
        path.write_text("half")
        raise common.Failure("full")

    @unittest.skipUnless(Path("/dev/full").exists(), "no /dev/full")
    def test_a_full_disk_is_said_with_the_name(self):
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()) as \
                said, self.assertRaises(SystemExit):
            common.run("finish.py", lambda: common.replace(
                f"{folder}/x", lambda path: Path("/dev/full").write_bytes(b"more")))
        self.assertRegex(said.getvalue(), r"^finish.py: .*/x: No space left.*; make room.*\n$")

    def test_the_program_is_missing(self):
        with self.assertRaisesRegex(common.Failure, "build it first"):
            finish.pumice(mock.Mock(pumice=Path("/nonexistent/pumice")), "info")


class Card(unittest.TestCase):
    def report(self, folder, name, rows, right):
        answers = [{"answer": f"reply | {n}\nof {name}", "right": n < right, "stopped": True}
                   for n in range(rows)]
        total = {"category": "total", "questions": rows, "scored": rows, "right": right,
                 "interval": [0.25, 0.75], "stopped": rows - 1, "too_long": 0}
        path = Path(folder) / f"{name}.json"
        path.write_text(json.dumps({"policy": "int8 activations", "max_tokens": 300,
                                    "scores": [total], "answers": answers}))
        return path

    def gathered(self, folder):
        work = Path(folder)
        log = [{"at": "2020", "shape": {"layers": 8, "width": 256, "heads": 4, "kv_heads": 2,
                                        "ff": 768, "vocabulary": 4096, "context": 512},
                "options": {"tokens": "36,62@0.5", "focus": "sums", "late": True,
                            "seed": 1, "threads": 2}}]
        log += [{"tokens": 1e6 * n, "loss": 2 / n, "rate": 1, "speed": 9000} for n in range(1, 20)]
        (work / "log.jsonl").write_text("\n".join(map(json.dumps, log)))
        (work / "trained.json").write_text(json.dumps(
            {"weights": 7344384, "tokens": 36_000_000, "steps": 4400, "seconds": 3700, "runs": 2,
             "held": {"facts": 0.5, "sums": 0.1}, "backend": "own core, 2 lanes"}))
        counts = {"documents": 9, "tokens": 4_000_000, "wanted": 2_000_000}
        (work / "corpus.json").write_text(json.dumps(
            {"megabytes": 270.0, "counts": {"facts": counts, "sums": counts}}))
        (work / "late.json").write_text(json.dumps(
            {"megabytes": 24.0, "counts": {"facts": counts, "recall": counts}}))
        for name in ("f16.gguf", "mini.gguf"):
            (work / name).write_bytes(name.encode())
        sets = {name: [{"question": f"What? {n}", "answers": ["that"]} for n in range(10)]
                for name in goals.SETS}
        answers = {label: {name: self.report(folder, f"{name}-{label}", 10, 7) for name in sets}
                   for label in ("f16", "quantised")}
        plan = {"bytes": 5000, "bits_per_weight": 5.1, "types": {"q4_k": 40, "q6_k": 16, "f32": 17}}
        rows = [{"name": name, "file": work / "mini.gguf", "plan": plan,
                 "measured": {"held": statistics(kld, 0.98), "questions": statistics(0.02, 0.96)}}
                for name, kld in ((goals.MIX, 0.02), (f"budget-{goals.MIX}", 0.01))]
        prompts = self.report(folder, "prompts", 500, 0)
        return card.gather(work, work / "f16.gguf", work / "mini.gguf", rows, answers, prompts,
                           sets)

    def test_every_number_is_a_measured_one(self):
        with tempfile.TemporaryDirectory() as folder:
            facts = json.loads(json.dumps(self.gathered(folder)))
        text = card.text(facts)
        self.assertNotIn("{", text)
        for words in ("7 344 384 weights", "MEGABYTES=270 LATE=24 TOKENS=36,62@0.5 FOCUS=sums SEED=1 THREADS=2",
                      "of its own, 8.0 million", "`recall` (9 documents, 4.00 million tokens)",
                      "40 matrices Q4_K, 16 matrices Q6_K", "1 h 01 min", "70.0 % (25.0 to 75.0)",
                      "499 answers by itself", "0.01000 ± 0.00100", "diverges less on: held; more",
                      "reply \\| 9 of questions-quantised", "mean of the kinds 0.300"):
            self.assertIn(words, text)
        self.assertEqual(text.count(facts["f16"]["sha256"]), 1)
        lines = card.summary(facts).splitlines()
        self.assertEqual(sum(line.startswith("MISSED") for line in lines), 6, lines)


class Limits(unittest.TestCase):
    def test_both_and_on_every_text(self):
        good, flips, far = statistics(0.01, 0.98), statistics(0.01, 0.96), statistics(0.03, 0.98)
        self.assertTrue(finish.within_limits({"held": good, "questions": good}))
        for bad in (flips, far):
            self.assertFalse(finish.within_limits({"held": good, "questions": bad}))


if __name__ == "__main__":
    unittest.main()
