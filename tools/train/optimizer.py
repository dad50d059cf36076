"""Muon for the matrices, AdamW for the embedding and the norms.

Muon moves a matrix by the orthogonal matrix nearest to its momentum, found with five steps of a
fifth-degree Newton-Schulz iteration; matrices of one shape are iterated as one batch.
"""

import math

import torch

# Coefficients of the iteration x <- a x + (b A + c A A) x with A = x x^T: the slope at 0 is steep and
# singular values end near 1 (within 0.7 to 1.2, which is enough).
NS = (3.4445, -4.7750, 2.0315)
NS_STEPS = 5


def orthogonal(batch):
    """The polar factors of a batch [n, rows, columns] with rows <= columns, in bfloat16."""
    a, b, c = NS
    x = batch / (batch.flatten(1).norm(dim=1)[:, None, None] + 1e-7)
    x = x.bfloat16()
    for _ in range(NS_STEPS):
        gram = x @ x.transpose(1, 2)
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x


class Optimizer:
    """Both optimizers over a dict of weights; steps take a dict of gradients of the same names."""

    def __init__(self, weights, muon_rate=0.02, adam_rate=3e-3, momentum=0.95, decay=0.02,
                 betas=(0.9, 0.98), eps=1e-10):
        self.weights = weights
        self.rates = (muon_rate, adam_rate)
        self.momentum, self.decay, self.betas, self.eps = momentum, decay, betas, eps
        self.steps = 0
        matrices = [n for n, w in weights.items() if w.dim() == 2 and n.startswith("blk.")]
        self.state = {n: {"momentum": torch.zeros_like(weights[n])} for n in matrices}
        for name, w in weights.items():
            if name not in self.state:
                self.state[name] = {"mean": torch.zeros_like(w), "square": torch.zeros_like(w)}
        self.groups = {}
        for name in matrices:
            self.groups.setdefault(tuple(sorted(weights[name].shape)), []).append(name)

    @torch.no_grad()
    def step(self, gradients, factor):
        """One step; `factor` scales both rates."""
        self.steps += 1
        for names in self.groups.values():
            self._muon(names, gradients, self.rates[0] * factor)
        for name, state in self.state.items():
            if "mean" in state:
                self._adam(self.weights[name], gradients[name], state, self.rates[1] * factor)

    def _muon(self, names, gradients, rate):
        moved = []
        for name in names:
            momentum, g = self.state[name]["momentum"], gradients[name]
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

    def _adam(self, w, g, state, rate):
        first, second = self.betas
        state["mean"].lerp_(g, 1 - first)
        state["square"].mul_(second).addcmul_(g, g, value=1 - second)
        mean = state["mean"] / (1 - first ** self.steps)
        square = state["square"] / (1 - second ** self.steps)
        w.addcdiv_(mean, square.sqrt().add_(self.eps), value=-rate)

    def state_dict(self):
        return {"steps": self.steps, "state": self.state}

    def load(self, saved):
        self.steps = saved["steps"]
        for name, state in self.state.items():
            for key, value in state.items():
                value.copy_(saved["state"][name][key])
