"""Who computes the gradients: torch on the CPU or a GPU, or the C++ core (core.cpp).

A backend has `device`, `name`, adopt(weights) -> the same weights where it wants them,
gradients(weights, batch) -> (sum of losses, {name: gradient of it}, norm of all gradients
together), loss(weights, batch), and perhaps step() (optimizer.py).
"""

import sys

import common


class TorchBackend:
    """Autograd; matrices in bfloat16, everything that is added up in f32."""

    def __init__(self, shape, torch, device, precision=None):
        import model
        self.torch, self.device = torch, device
        self.model = model.Llama(shape, device, precision or torch.bfloat16)
        self.name = f"torch {torch.__version__} on {device}"

    def adopt(self, weights):
        return {n: w.to(self.device) for n, w in weights.items()}

    def _tensors(self, batch):
        import batches
        parts = [self.torch.from_numpy(getattr(batch, name)).to(self.device)
                 for name in ("tokens", "targets", "documents", "positions")]
        return batches.Batch(*parts, batch.used, batch.wanted)

    def gradients(self, weights, batch):
        leaves = {n: w.detach().requires_grad_() for n, w in weights.items()}
        loss = self.model.loss(leaves, self._tensors(batch))
        loss.backward()
        gradients = {n: w.grad for n, w in leaves.items()}
        norms = self.torch.stack([g.norm() for g in gradients.values()])
        return float(loss), gradients, float(norms.norm())

    def loss(self, weights, batch):
        with self.torch.no_grad():
            return float(self.model.loss(weights, self._tensors(batch)))


def choose(shape, options, torch):
    """The fastest backend that works here and that --device and --core allow."""
    device = options.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise common.Failure("--device cuda: torch sees no GPU")
    if options.core != "torch" and device == "cpu":
        import core
        backend, problem = core.open(shape, options.threads, torch)
        if backend:
            return backend
        if options.core == "own":
            raise common.Failure(f"--core own: {problem}")
        print(f"note: training with torch, about four times slower than the C++ core: {problem}",
              file=sys.stderr)
    return TorchBackend(shape, torch, device)
