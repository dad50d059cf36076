"""Compares the exported file as `pumice` runs it with the model as torch runs it: tokens and
logits.

  check.py --pumice PROGRAM [--work DIR] [--model FILE]

Both use the weights as the file has them (f16 matrices); torch computes in f32. Fails if a prompt
is cut into other tokens, or if the normalised mean square error of a prompt's logits is above 1e-5.
"""

import argparse
import subprocess
import tempfile
from pathlib import Path

import common
import gguf
import tokenizer as bpe

LIMIT = 1e-5
PROMPTS = ("Hello!", "What is Q4_K?", "my name is Ann, what is 12 + 7?",
           "Tell me a story about a fox.\nMake it short.", "naïve 日本 🙂 \t x",
           "It's  they'LL 100%")


def run(*command):
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        raise common.Failure(f"{' '.join(command[:2])}: {done.stderr.decode().strip()}")
    return done.stdout


def weights_of(path, torch):
    """(metadata, {name: f32 tensor}) of an exported file."""
    import numpy as np
    metadata, tensors = gguf.read(path)
    kinds = {gguf.TYPE_F32: np.float32, gguf.TYPE_F16: np.float16}
    weights = {}
    for name, (kind, sizes, data) in tensors.items():
        array = np.frombuffer(data, kinds[kind]).astype(np.float32)
        weights[name] = torch.from_numpy(array.reshape(sizes[::-1]))
    return metadata, weights


def logits_of_pumice(program, path, ids, vocabulary):
    import numpy as np
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "rows"
        run(program, "logits", "-m", str(path), "--act", "f32", "--kv", "f32", "--tokens",
            ",".join(map(str, ids)), "-o", str(out))
        return np.fromfile(out, np.float32).reshape(len(ids), vocabulary)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pumice", required=True, help="the built program")
    parser.add_argument("--work", default="build/train")
    parser.add_argument("--model", help="default: DIR/pumice-mini-f16.gguf")
    o = parser.parse_args()
    import torch
    import model
    path = Path(o.model or Path(o.work) / "pumice-mini-f16.gguf")
    tokens = bpe.Tokenizer.load(Path(o.work) / "tokenizer.json")
    metadata, weights = weights_of(path, torch)
    shape = model.Shape(tokens.size, *(metadata[f"llama.{key}"] for key in (
        "embedding_length", "block_count", "attention.head_count", "attention.head_count_kv",
        "feed_forward_length", "context_length")))
    llama = model.Llama(shape, precision=torch.float32)
    worst = 0.0
    for prompt in PROMPTS:
        ids = tokens.encode(prompt)
        said = run(o.pumice, "tokenize", "-m", str(path), "-p", prompt).decode().strip()
        if said != str(ids).replace(" ", ""):
            raise common.Failure(f"{prompt!r}: pumice has tokens {said}, the trainer {ids}")
        ids, _ = tokens.chat([("user", prompt), ("assistant", "Yes.")])
        expected = llama.logits(weights, ids).numpy()
        found = logits_of_pumice(o.pumice, path, ids, shape.vocabulary)
        error = float(((found - expected) ** 2).sum() / (expected ** 2).sum())
        print(f"{prompt!r}: {len(ids)} tokens, NMSE {error:.2e}")
        worst = max(worst, error)
    if not worst <= LIMIT:
        raise common.Failure(f"NMSE {worst:.2e} is above {LIMIT:g}")
    return 0


if __name__ == "__main__":
    common.run("check.py", main)
