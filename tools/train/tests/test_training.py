"""The model, the C++ core against torch, resuming, the exported file. Needs torch."""

import argparse
import contextlib
import io
import json
import signal
import tempfile
import types
import unittest
from pathlib import Path
from unittest import mock

import support

try:
    import numpy as np
    import torch
except ImportError as error:
    raise unittest.SkipTest(f"python3-torch or python3-numpy cannot be used ({error})")

import batches
import common
import core
import export
import gguf
import gradients
import model
import optimizer
import train

SHAPE = model.Shape(vocabulary=320, width=256, layers=2, heads=4, kv_heads=2, ff=256, context=128)


def rough_weights(shape, seed=5):
    """Weights larger than fresh ones, so that every part of the model matters."""
    random = torch.Generator().manual_seed(seed)
    return {name: 1 + 0.3 * torch.randn(size, generator=random) if len(size) == 1 else
            torch.randn(size, generator=random) * (0.3 if "embd" in name else size[1] ** -0.5)
            for name, size in shape.tensors().items()}


def random_batch(shape, rows, seed=1, longest=70):
    rng = np.random.default_rng(seed)
    size = (rows, shape.context)
    tokens, targets = rng.integers(0, shape.vocabulary, (2, *size))
    targets[rng.random(size) < 0.5] = batches.IGNORED
    documents, positions = np.zeros(size, np.int64), np.zeros(size, np.int64)
    for r in range(rows):
        at = number = 0
        while at < shape.context:
            n = int(min(shape.context - at, rng.integers(1, longest)))
            documents[r, at:at + n], positions[r, at:at + n] = number, np.arange(n)
            at, number = at + n, number + 1
    wanted = int((targets >= 0).sum())
    return batches.Batch(tokens, targets, documents, positions, tokens.size, wanted)


def error(found, expected):
    return float((found - expected).norm() / expected.norm())


class Model(unittest.TestCase):
    def test_packed_documents_do_not_see_each_other(self):
        weights = rough_weights(SHAPE)
        llama = model.Llama(SHAPE, precision=torch.float32)
        batch = random_batch(SHAPE, 1)
        mask = model.attention_mask(torch.from_numpy(batch.documents))
        together = llama.hidden(weights, torch.from_numpy(batch.tokens),
                                torch.from_numpy(batch.positions), mask)[0]
        together = together @ weights["token_embd.weight"].t()
        for number in range(batch.documents.max() + 1):
            at = np.flatnonzero(batch.documents[0] == number)
            alone = llama.logits(weights, batch.tokens[0, at].tolist())
            self.assertLess(error(together[at], alone), 1e-5)

    def test_wanted_loss_is_cross_entropy(self):
        random = torch.Generator().manual_seed(1)
        hidden = torch.randn(50, 8, generator=random, requires_grad=True)
        table = torch.randn(20, 8, generator=random, requires_grad=True)
        targets = torch.randint(0, 20, (50,), generator=random)
        plain = torch.nn.functional.cross_entropy(hidden @ table.t(), targets, reduction="sum")
        expected = torch.autograd.grad(plain, (hidden, table))
        with mock.patch.object(model.WantedLoss, "CHUNK", 16):
            ours = model.WantedLoss.apply(hidden, table, targets)
        self.assertAlmostEqual(float(ours), float(plain), places=3)
        for found, wanted in zip(torch.autograd.grad(ours, (hidden, table)), expected):
            self.assertLess(error(found, wanted), 1e-5)

    def test_orthogonal(self):
        x = torch.randn(3, 40, 60, generator=torch.Generator().manual_seed(1))
        values = torch.linalg.svdvals(optimizer.orthogonal(x, torch.float32))
        self.assertGreater(float(values.min()), 0.4)
        self.assertLess(float(values.max()), 1.3)

    def test_shapes_that_cannot_be(self):
        self.assertIn("256", model.Shape(width=384).problem())
        self.assertIn("KV heads", model.Shape(heads=4, kv_heads=3).problem())
        self.assertIsNone(model.Shape().problem())

    def test_rate(self):
        one = train.cycles("100")
        self.assertEqual(train.rate_factor(30e6, one, 10 ** 6), 1.0)
        self.assertAlmostEqual(train.rate_factor(70e6, one, 10 ** 6), 0.5)
        self.assertEqual(train.rate_factor(100e6, one, 10 ** 6), 0.0)
        self.assertLess(train.rate_factor(0, one, 0), 0.1)

    def test_every_cycle_begins_with_its_rate_and_falls_to_nothing(self):
        cycles = train.cycles("100,300@0.5")
        for done in (0, 40e6, 70e6, 99e6):
            self.assertEqual(train.rate_factor(done, cycles, 99),
                             train.rate_factor(done, train.cycles("100"), 99))
        self.assertEqual(train.rate_factor(100e6, cycles, 99), 0.5)
        self.assertAlmostEqual(train.rate_factor(240e6, cycles, 99), 0.25)
        self.assertEqual(train.rate_factor(300e6, cycles, 99), 0.0)
        for wrong in ("", "0", "3,2", "2,2", "x", "3@0", "3@2", "3@"):
            with self.assertRaises((ValueError, argparse.ArgumentTypeError), msg=wrong):
                train.cycles_text(wrong)


class Core(unittest.TestCase):
    """The C++ core computes what torch computes, up to the rounding of bf16 products."""

    def setUp(self):
        self.core, why = core.open(SHAPE, 2, torch)
        if not self.core:
            self.skipTest(why)

    def test_loss_and_gradients(self):
        weights, batch = rough_weights(SHAPE), random_batch(SHAPE, 3)
        exact = gradients.TorchBackend(SHAPE, torch, "cpu", torch.float32)
        expected_loss, expected, expected_norm = exact.gradients(weights, batch)
        loss, found, norm = self.core.gradients(weights, batch)
        self.assertAlmostEqual(loss / expected_loss, 1, delta=1e-3)
        self.assertAlmostEqual(norm / expected_norm, 1, delta=1e-2)
        self.assertEqual(self.core.loss(weights, batch), loss)
        for name, gradient in expected.items():
            self.assertLess(error(found[name], gradient), 0.04, name)

    def test_the_same_twice(self):
        weights, batch = rough_weights(SHAPE), random_batch(SHAPE, 3)
        once = {n: g.clone() for n, g in self.core.gradients(weights, batch)[1].items()}
        for name, gradient in self.core.gradients(weights, batch)[1].items():
            self.assertTrue(torch.equal(gradient, once[name]), name)

    def test_long_and_one_token_documents(self):
        weights = rough_weights(SHAPE)
        exact = gradients.TorchBackend(SHAPE, torch, "cpu", torch.float32)
        for longest in (2, 1000):
            batch = random_batch(SHAPE, 2, seed=4, longest=longest)
            expected = exact.gradients(weights, batch)[1]
            found = self.core.gradients(weights, batch)[1]
            for name in ("blk.0.ffn_down.weight", "blk.1.attn_v.weight", "token_embd.weight"):
                self.assertLess(error(found[name], expected[name]), 0.04, (longest, name))

    def test_optimizer_steps(self):
        start, batch = rough_weights(SHAPE), random_batch(SHAPE, 2)
        weights = self.core.adopt(start)
        own = optimizer.Optimizer(weights, self.core)
        plain = optimizer.Optimizer({n: w.clone() for n, w in start.items()})
        for _ in range(3):
            found = self.core.gradients(weights, batch)[1]
            plain.step({n: g.clone() for n, g in found.items()}, 1e-3, 0.7)
            own.step(found, 1e-3, 0.7)
        for name, w in plain.weights.items():
            limit = 0.05 if name in plain.matrices else 1e-4
            self.assertLess(error(weights[name] - start[name], w - start[name]), limit, name)


class Runs(unittest.TestCase):
    """train.py itself on a tiny corpus."""

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        support.write_work(self.folder.name)
        self.before = [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)]

    def tearDown(self):
        for number, handler in zip((signal.SIGINT, signal.SIGTERM), self.before):
            signal.signal(number, handler)
        self.folder.cleanup()

    def train(self, *more, tokens="0.02"):
        command = ["train.py", "--work", self.folder.name, "--tokens", tokens, "--rows", "4",
                   "--context", "64", "--layers", "1", "--ff", "256", "--log-steps", "5",
                   "--held-steps", "50", *more]
        out = io.StringIO()
        with mock.patch("sys.argv", command), contextlib.redirect_stdout(out), \
                contextlib.redirect_stderr(out):
            self.assertEqual(train.main(), 0)
        return out.getvalue()

    def weights(self):
        return torch.load(Path(self.folder.name) / "checkpoint.pt")["weights"]

    def test_an_interrupted_run_goes_on_as_if_it_had_not_been(self):
        whole = self.train()
        self.assertIn("trained:", whole)
        expected = self.weights()
        log = map(json.loads, (Path(self.folder.name) / "log.jsonl").read_text().splitlines())
        losses = [row["loss"] for row in log if "loss" in row]
        self.assertLess(losses[-1], 0.8 * losses[0])
        (Path(self.folder.name) / "checkpoint.pt").unlink()
        self.assertIn("run the same command again", self.train("--max-steps", "31"))
        self.assertIn("going on at step 31", self.train())
        for name, w in self.weights().items():
            self.assertTrue(torch.equal(w, expected[name]), name)

    def test_cycles_go_on_as_if_uninterrupted(self):
        for part in ("tokens", "starts", "kinds"):  # what the last cycle reads
            held = Path(self.folder.name) / f"held.{part}"
            (Path(self.folder.name) / f"late.{part}").write_bytes(held.read_bytes())
        options, tokens = ("--focus", "sums", "--late"), "0.008,0.014,0.02@0.5"
        self.train(*options, tokens=tokens)
        expected = self.weights()
        (Path(self.folder.name) / "checkpoint.pt").unlink()
        self.assertIn("trained:", self.train("--focus", "sums", tokens="0.008"))
        self.assertIn("trained:", self.train("--focus", "sums", tokens="0.008,0.014"))
        steps = json.loads((Path(self.folder.name) / "trained.json").read_text())["steps"]
        self.train(*options, "--max-steps", str(steps + 3), tokens=tokens)
        self.assertIn("trained:", self.train(*options, tokens=tokens))
        for name, w in self.weights().items():
            self.assertTrue(torch.equal(w, expected[name]), name)
        with self.assertRaisesRegex(common.Failure, "no kind nonsense"):
            self.train("--focus", "nonsense")

    def test_the_time_limit_saves(self):
        self.assertIn("(time)", self.train("--minutes", "0"))
        self.assertTrue((Path(self.folder.name) / "checkpoint.pt").exists())

    def test_a_signal_saves(self):
        with mock.patch.object(train.Training, "held_loss",
                               lambda t: signal.raise_signal(signal.SIGTERM) or {}):
            self.assertIn("(SIGTERM)", self.train("--held-steps", "3"))
        self.assertIn("going on at step 3,", self.train("--max-steps", "4"))

    def test_another_shape_is_refused(self):
        self.train("--max-steps", "1")
        with self.assertRaisesRegex(common.Failure, "another shape"):
            self.train("--layers", "2")

    def test_exported_file(self):
        self.train("--max-steps", "3")
        out = io.StringIO()
        with mock.patch("sys.argv", ["export.py", "--work", self.folder.name]), \
                contextlib.redirect_stdout(out):
            export.main()
        path = Path(self.folder.name) / "pumice-mini-f16.gguf"
        self.assertIn(common.sha256(path), out.getvalue())
        metadata, tensors = gguf.read(path)
        self.assertEqual(len(metadata["tokenizer.ggml.tokens"]), metadata["llama.vocab_size"])
        self.assertEqual(len(set(metadata["tokenizer.ggml.tokens"])), metadata["llama.vocab_size"])
        self.assertNotIn("output.weight", tensors)
        weights = self.weights()
        kind, sizes, data = tensors["blk.0.attn_k.weight"]
        self.assertEqual((kind, sizes), (gguf.TYPE_F16, [256, 128]))
        self.assertEqual(data, weights["blk.0.attn_k.weight"].numpy().astype(np.float16).tobytes())
        self.assertEqual(tensors["output_norm.weight"][2],
                         weights["output_norm.weight"].numpy().tobytes())


class Words(unittest.TestCase):
    """What can go wrong outside is said in one line."""

    def line(self, raised):
        def fail():
            raise raised
        err = io.StringIO()
        with contextlib.redirect_stderr(err), self.assertRaises(SystemExit) as exit_:
            common.run("train.py", fail)
        self.assertEqual(exit_.exception.code, 1)
        self.assertEqual(err.getvalue().count("\n"), 1)
        return err.getvalue()

    def test_lines(self):
        self.assertIn("python3-torch", self.line(ModuleNotFoundError(name="torch")))
        self.assertIn("make room", self.line(OSError(28, "No space left on device", "/a/b")))
        self.assertIn("make the corpus", self.line(common.Failure("make the corpus first")))

    def test_a_missing_corpus(self):
        with tempfile.TemporaryDirectory() as folder, \
                mock.patch("sys.argv", ["train.py", "--work", folder]), \
                self.assertRaisesRegex(common.Failure, "tokenizer.json is missing"):
            train.main()

    def test_no_gpu(self):
        options = types.SimpleNamespace(device="cuda", core="auto", threads=1)
        if torch.cuda.is_available():
            self.skipTest("there is a GPU")
        with self.assertRaisesRegex(common.Failure, "no GPU"):
            gradients.choose(SHAPE, options, torch)


if __name__ == "__main__":
    unittest.main()
