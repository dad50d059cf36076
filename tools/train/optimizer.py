"""Muon for the matrices, AdamW without decay for the embedding and the norms.

Muon moves a matrix by the orthogonal matrix nearest to its momentum, found with five steps of a
fifth-degree Newton-Schulz iteration; matrices of one shape are iterated as one batch. Where the C++
core computes the gradients it takes these steps too (core/optimizer.h).
"""

import math

import torch

# Coefficients of the iteration x <- a x + (b A + c A A) x with A = x x^T: the slope at 0 is steep
# and singular values end near 1 (within 0.7 to 1.2, which is enough).
NS = (3.4445, -4.7750, 2.0315)
NS_STEPS = 5


def orthogonal(batch, precision=torch.bfloat16):
    """The polar factors of a batch [n, rows, columns] with rows <= columns."""
    a, b, c = NS
    x = batch / (batch.flatten(1).norm(dim=1)[:, None, None] + 1e-7)
    x = x.to(precision)
    for _ in range(NS_STEPS):
        gram = x @ x.transpose(1, 2)
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x


class Optimizer:
    """Both optimizers over a dict of weights, which `step` changes.

    `backend` may have step(optimizer, scale, factor) of its own; then the state lies in its memory.
    """

    def __init__(self, weights, backend=None, muon_rate=0.02, adam_rate=3e-3, momentum=0.95,
                 decay=0.02, betas=(0.9, 0.98), eps=1e-10):
        self.weights = weights
        self.rates = (muon_rate, adam_rate)
        self.momentum, self.decay, self.betas, self.eps = momentum, decay, betas, eps
        self.steps = 0
        self.own = backend if hasattr(backend, "step") else None
        fresh = self.own.like_weights if self.own else \
            lambda: {n: torch.zeros_like(w) for n, w in weights.items()}
        self.first, self.second = fresh(), fresh()  # momentum or mean; mean square
        self.groups = {}
        for name, w in weights.items():
            if w.dim() == 2 and name.startswith("blk."):
                self.groups.setdefault(tuple(sorted(w.shape)), []).append(name)
        self.matrices = {name for names in self.groups.values() for name in names}

    @torch.no_grad()
    def step(self, gradients, scale, factor):
        """One step with gradients times `scale`; `factor` scales both rates."""
        self.steps += 1
        if self.own:
            self.own.step(self, scale, factor)
            return
        for name, g in gradients.items():
            g.mul_(scale)
            if name not in self.matrices:
                self._adam(name, g, self.rates[1] * factor)
        for names in self.groups.values():
            self._muon(names, gradients, self.rates[0] * factor)

    def _muon(self, names, gradients, rate):
        moved = []
        for name in names:
            momentum, g = self.first[name], gradients[name]
            momentum.lerp_(g, 1 - self.momentum)
            ahead = torch.lerp(g, momentum, self.momentum)  # Nesterov
            moved.append(ahead.t() if ahead.shape[0] > ahead.shape[1] else ahead)
        for name, direction in zip(names, orthogonal(torch.stack(moved))):
            w = self.weights[name]
            rows, columns = w.shape
            if rows > columns:
                direction = direction.t()
            w.mul_(1 - rate * self.decay)
            w.add_(direction.float(), alpha=-rate * math.sqrt(max(1.0, rows / columns)))

    def _adam(self, name, g, rate):
        first, second = self.betas
        self.first[name].lerp_(g, 1 - first)
        self.second[name].mul_(second).addcmul_(g, g, value=1 - second)
        mean = self.first[name] / (1 - first ** self.steps)
        square = self.second[name] / (1 - second ** self.steps)
        self.weights[name].addcdiv_(mean, square.sqrt().add_(self.eps), value=-rate)

    def state_dict(self):
        return {"steps": self.steps, "first": {n: t.clone() for n, t in self.first.items()},
                "second": {n: t.clone() for n, t in self.second.items() if n not in self.matrices}}

    def load(self, saved):
        self.steps = saved["steps"]
        for kind in ("first", "second"):
            for name, value in saved[kind].items():
                getattr(self, kind)[name].copy_(value)
