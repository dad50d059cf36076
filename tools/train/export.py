"""Writes the trained model as GGUF: matrices f16, norms f32, tokenizer and chat template inside.

The output matrix is the embedding, so there is no output.weight. Rotary pairs are neighbours
already.
"""

import argparse
from pathlib import Path

import common
import gguf
import tokenizer as bpe

NORMAL, CONTROL = 1, 3  # token types; F16 is file type 1

TEMPLATE = ("{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + "
            "message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}"
            "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}")


def metadata(shape, tokens, name, size_label):
    letters = bpe.byte_letters()
    shown = ["".join(letters[b] for b in piece) for piece in tokens.pieces]
    merges = [f"{shown[left]} {shown[right]}" for left, right in tokens.merges]
    u32, f32, text = gguf.U32, gguf.F32, gguf.STRING
    return [
        ("general.architecture", text, "llama"),
        ("general.type", text, "model"),
        ("general.name", text, name),
        ("general.size_label", text, size_label),
        ("general.license", text, "mit"),
        ("general.file_type", u32, 1),
        ("general.quantization_version", u32, 2),
        ("llama.block_count", u32, shape.layers),
        ("llama.context_length", u32, shape.context),
        ("llama.embedding_length", u32, shape.width),
        ("llama.feed_forward_length", u32, shape.ff),
        ("llama.attention.head_count", u32, shape.heads),
        ("llama.attention.head_count_kv", u32, shape.kv_heads),
        ("llama.attention.key_length", u32, shape.head),
        ("llama.attention.value_length", u32, shape.head),
        ("llama.attention.layer_norm_rms_epsilon", f32, shape.norm_eps),
        ("llama.rope.dimension_count", u32, shape.head),
        ("llama.rope.freq_base", f32, shape.rope_base),
        ("llama.vocab_size", u32, shape.vocabulary),
        ("tokenizer.ggml.model", text, "gpt2"),
        ("tokenizer.ggml.pre", text, "qwen2"),
        ("tokenizer.ggml.tokens", (gguf.ARRAY, text), [*shown, *bpe.CONTROL]),
        ("tokenizer.ggml.token_type", (gguf.ARRAY, gguf.I32),
         [NORMAL] * len(shown) + [CONTROL] * len(bpe.CONTROL)),
        ("tokenizer.ggml.merges", (gguf.ARRAY, text), merges),
        ("tokenizer.ggml.bos_token_id", u32, tokens.endoftext),
        ("tokenizer.ggml.eos_token_id", u32, tokens.im_end),
        ("tokenizer.ggml.eot_token_id", u32, tokens.im_end),
        ("tokenizer.ggml.padding_token_id", u32, tokens.endoftext),
        ("tokenizer.ggml.add_bos_token", gguf.BOOL, False),
        ("tokenizer.chat_template", text, TEMPLATE),
    ]


def arrays(shape, weights):
    """[(name, tensor type, numpy array)] in the order of the file."""
    import numpy as np
    found = []
    for name in shape.tensors():
        w = weights[name].detach().cpu().float().numpy()
        kind = gguf.TYPE_F32 if w.ndim == 1 else gguf.TYPE_F16
        if kind == gguf.TYPE_F16:
            if not np.isfinite(w.astype(np.float16)).all():
                raise common.Failure(f"tensor {name} has values that f16 cannot hold")
            w = w.astype(np.float16)
        found.append((name, kind, np.ascontiguousarray(w)))
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--work", default="build/train")
    parser.add_argument("--out", help="default: DIR/pumice-mini-f16.gguf")
    parser.add_argument("--name", default="pumice-mini")
    o = parser.parse_args()
    import numpy  # noqa: F401  first: torch would only warn that it is absent
    import torch
    import model
    work = Path(o.work)
    for needed in ("checkpoint.pt", "tokenizer.json"):
        if not (work / needed).exists():
            raise common.Failure(f"{work / needed} is missing; train first (train.py)")
    state = torch.load(work / "checkpoint.pt", map_location="cpu")
    shape = model.Shape(**state["shape"])
    tokens = bpe.Tokenizer.load(work / "tokenizer.json")
    if state["tokenizer"] != common.sha256(work / "tokenizer.json"):
        raise common.Failure(f"{work}/tokenizer.json is not the one that the checkpoint was "
                             f"trained with")
    out = Path(o.out or work / "pumice-mini-f16.gguf")
    count = sum(w.numel() for w in state["weights"].values())
    rows = metadata(shape, tokens, o.name, f"{count / 1e6:.1f}M")
    tensors = arrays(shape, state["weights"])
    common.replace(out, lambda path: gguf.write(path, rows, tensors))
    print(f"{out}: {count} weights after {state['done'] / 1e6:.1f} M tokens, "
          f"{out.stat().st_size} bytes, SHA-256 {common.sha256(out)}")
    return 0


if __name__ == "__main__":
    common.run("export.py", main)
