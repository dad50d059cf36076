"""The model: a llama decoder over packed documents, written for torch 1.13.

Weights are a plain dict under their GGUF names, so that a checkpoint, the C++ core and the exported
file speak of the same things. Rotary pairs are neighbours (2i, 2i+1), as GGUF's llama wants them:
nothing is permuted on export. The output matrix is the embedding.

A batch is [rows, context]: each row holds whole documents one after the other; a position attends
to earlier positions of its own document only.
"""

import math
from dataclasses import asdict, dataclass

import torch

QUANT_ROW = 256  # weights per block of the K types: every row must be a multiple


@dataclass(frozen=True)
class Shape:
    vocabulary: int = 4096
    width: int = 256
    layers: int = 8
    heads: int = 4
    kv_heads: int = 2
    ff: int = 768
    context: int = 512
    rope_base: float = 10000.0
    norm_eps: float = 1e-5

    @property
    def head(self):
        return self.width // self.heads

    def problem(self):
        """Why this shape cannot be trained or quantised, or None."""
        for name in ("width", "ff"):
            if getattr(self, name) % QUANT_ROW:
                return f"{name} {getattr(self, name)} is not a multiple of {QUANT_ROW}"
        if self.width % self.heads or self.heads % self.kv_heads or self.head % 2:
            return f"{self.heads} heads and {self.kv_heads} KV heads do not divide width " \
                   f"{self.width}"
        return None

    def tensors(self):
        """{GGUF name: shape}, in the order of the file."""
        kv = self.kv_heads * self.head
        layer = {"attn_norm": (self.width,), "attn_q": (self.width, self.width),
                 "attn_k": (kv, self.width), "attn_v": (kv, self.width),
                 "attn_output": (self.width, self.width), "ffn_norm": (self.width,),
                 "ffn_gate": (self.ff, self.width), "ffn_up": (self.ff, self.width),
                 "ffn_down": (self.width, self.ff)}
        found = {"token_embd.weight": (self.vocabulary, self.width)}
        for i in range(self.layers):
            found.update({f"blk.{i}.{name}.weight": shape for name, shape in layer.items()})
        found["output_norm.weight"] = (self.width,)
        return found

    def as_dict(self):
        return asdict(self)


def initial(shape, seed):
    """Fresh weights: norms 1, what writes to the residual stream 0, the rest normal."""
    random = torch.Generator().manual_seed(seed)
    weights = {}
    for name, size in shape.tensors().items():
        if len(size) == 1:
            weights[name] = torch.ones(size)
        elif "attn_output" in name or "ffn_down" in name:
            weights[name] = torch.zeros(size)
        else:
            spread = 0.02 if "embd" in name else size[1] ** -0.5
            weights[name] = torch.randn(size, generator=random) * spread
    return weights


def rope_tables(shape, device="cpu"):
    """cos and sin, [context, head/2], made in double precision."""
    pair = torch.arange(shape.head // 2, dtype=torch.float64)
    angle = torch.arange(shape.context, dtype=torch.float64)[:, None] * \
        shape.rope_base ** (-2 * pair / shape.head)
    return angle.cos().float().to(device), angle.sin().float().to(device)


def rotate(x, cos, sin):
    """x [rows, positions, heads, head] by the angles [rows, positions, 1, head/2]."""
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1).flatten(-2)


def rms_norm(x, weight, eps):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * weight


def attention_mask(documents):
    """documents [rows, context] -> mask [rows, 1, context, context], 0 or -inf, to be added."""
    rows, context = documents.shape
    same = documents[:, :, None] == documents[:, None, :]
    seen = torch.ones(context, context, dtype=torch.bool, device=documents.device).tril()
    mask = torch.zeros(rows, 1, context, context, device=documents.device)
    return mask.masked_fill((~(same & seen)).unsqueeze(1), float("-inf"))


class WantedLoss(torch.autograd.Function):
    """Sum of the cross-entropies of hidden [n, width] against targets [n], by the embedding's rows.

    Logits live for one chunk only; gradients are made in the forward pass, because log_softmax of
    this torch is slow on the CPU and a whole batch of logits would not fit in any cache.
    """

    CHUNK = 1024

    @staticmethod
    def forward(ctx, hidden, embedding, targets):
        d_hidden = torch.empty_like(hidden)
        d_embedding = torch.zeros(embedding.shape, dtype=torch.float32, device=embedding.device)
        loss = torch.zeros((), device=hidden.device)
        for at in range(0, len(targets), WantedLoss.CHUNK):
            h, t = hidden[at:at + WantedLoss.CHUNK], targets[at:at + WantedLoss.CHUNK, None]
            logits = (h @ embedding.t()).float()
            logits -= logits.amax(1, keepdim=True)
            right = logits.gather(1, t)
            total = logits.exp_().sum(1, keepdim=True)
            loss += (total.log() - right).sum()
            logits /= total
            logits.scatter_add_(1, t, torch.full_like(right, -1.0))
            slope = logits.to(hidden.dtype)
            d_hidden[at:at + WantedLoss.CHUNK] = slope @ embedding
            d_embedding += (slope.t() @ h).float()
        ctx.save_for_backward(d_hidden, d_embedding.to(embedding.dtype))
        return loss

    @staticmethod
    def backward(ctx, grad):
        d_hidden, d_embedding = ctx.saved_tensors
        return d_hidden * grad, d_embedding * grad, None


class Llama:
    """Forward pass with autograd over a dict of weights; matrices run in `precision`."""

    def __init__(self, shape, device="cpu", precision=torch.bfloat16):
        self.shape, self.precision = shape, precision
        self.cos, self.sin = rope_tables(shape, device)

    def _attention(self, q, k, v, mask):
        s = self.shape
        rows, context = q.shape[:2]
        group = s.heads // s.kv_heads
        # Heads that share keys become more queries of one head: one product per KV head.
        q = q.view(rows, context, s.kv_heads, group, s.head).permute(0, 2, 3, 1, 4)
        q = q.reshape(rows, s.kv_heads, group * context, s.head)
        scores = q @ k.permute(0, 2, 3, 1)
        scores = scores.view(rows, s.heads, context, context).float() / math.sqrt(s.head) + mask
        mixed = scores.softmax(-1).to(v.dtype).view(rows, s.kv_heads, group * context, context)
        mixed = mixed @ v.permute(0, 2, 1, 3)
        mixed = mixed.view(rows, s.kv_heads, group, context, s.head).permute(0, 3, 1, 2, 4)
        return mixed.reshape(rows, context, s.width)

    def hidden(self, weights, tokens, positions, mask):
        """The last layer's normed output, [rows, context, width], for tokens [rows, context]."""
        s = self.shape
        low = {name: w.to(self.precision) if w.dim() == 2 else w for name, w in weights.items()}
        cos, sin = self.cos[positions][:, :, None], self.sin[positions][:, :, None]
        x = torch.nn.functional.embedding(tokens, weights["token_embd.weight"]).float()
        for i in range(s.layers):
            w = lambda name: low[f"blk.{i}.{name}.weight"]
            h = rms_norm(x, w("attn_norm"), s.norm_eps).to(self.precision)
            q = (h @ w("attn_q").t()).unflatten(-1, (s.heads, s.head))
            k = (h @ w("attn_k").t()).unflatten(-1, (s.kv_heads, s.head))
            v = (h @ w("attn_v").t()).unflatten(-1, (s.kv_heads, s.head))
            q, k = (rotate(t.float(), cos, sin).to(self.precision) for t in (q, k))
            x = x + (self._attention(q, k, v, mask) @ w("attn_output").t()).float()
            h = rms_norm(x, w("ffn_norm"), s.norm_eps).to(self.precision)
            h = torch.nn.functional.silu(h @ w("ffn_gate").t()) * (h @ w("ffn_up").t())
            x = x + (h @ w("ffn_down").t()).float()
        return rms_norm(x, weights["output_norm.weight"], s.norm_eps).to(self.precision)

    def loss(self, weights, batch):
        """Sum of the losses of a batch's wanted tokens."""
        mask = attention_mask(batch.documents)
        hidden = self.hidden(weights, batch.tokens, batch.positions, mask)
        wanted = batch.targets >= 0
        return WantedLoss.apply(hidden[wanted], weights["token_embd.weight"].to(self.precision),
                                batch.targets[wanted])

    def logits(self, weights, ids):
        """[n, vocabulary] for one document of n ids."""
        tokens = torch.tensor([ids])
        mask = attention_mask(torch.zeros_like(tokens))
        hidden = self.hidden(weights, tokens, torch.arange(len(ids))[None], mask)
        return hidden[0].float() @ weights["token_embd.weight"].float().t()
