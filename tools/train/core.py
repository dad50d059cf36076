"""Builds and calls the C++ core (core/): loss and gradients on processors with AMX tiles."""

import ctypes
import hashlib
import os
import platform
import subprocess
import tempfile
from pathlib import Path

import common

FLAGS = ("-std=c++20", "-O3", "-march=native", "-mamx-tile", "-mamx-bf16", "-shared", "-fPIC",
         "-pthread", "-Wall", "-Wextra")
NEEDS = ("amx_tile", "amx_bf16", "avx512_bf16", "avx512bw", "avx512vl")
SOURCES = common.HERE / "core"


class _Shape(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int32) for name in
                ("vocabulary", "width", "layers", "heads", "kv_heads", "ff", "context")] + \
               [("norm_eps", ctypes.c_float)]


class _Rates(ctypes.Structure):
    _fields_ = [(name, ctypes.c_float) for name in
                ("scale", "muon", "adam", "momentum", "decay", "beta1", "beta2", "eps",
                 "correction1", "correction2")]


class _Arrays(ctypes.Structure):
    _fields_ = [(name, ctypes.c_void_p) for name in ("weights", "gradients", "first", "second")]


def processor_lacks():
    """Names of instruction sets that this processor lacks."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        return ["Linux on x86-64"]
    try:
        flags = set(Path("/proc/cpuinfo").read_text().split("flags", 1)[1].split("\n")[0].split())
    except (OSError, IndexError):
        return ["/proc/cpuinfo"]
    return [need for need in NEEDS if need not in flags]


def library():
    """Path of the built library, kept in the cache folder under a hash of its sources."""
    digest = hashlib.sha256(" ".join(FLAGS).encode())
    for path in sorted(SOURCES.iterdir()):
        digest.update(path.name.encode() + path.read_bytes())
    digest.update(Path("/proc/cpuinfo").read_text().split("\n\n")[0].split("flags", 1)[1].encode())
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    path = Path(base) / "pumice" / f"train-core-{digest.hexdigest()[:16]}.so"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            made = Path(folder) / "core.so"
            compiler = os.environ.get("CXX", "c++")
            command = [compiler, *FLAGS, str(SOURCES / "core.cpp"), "-o", str(made)]
            subprocess.run(command, check=True, capture_output=True, text=True)
            os.replace(made, path)
    return path


def problem(shape):
    """Why the core cannot run this shape here, or None."""
    if lacking := processor_lacks():
        return "this machine lacks " + ", ".join(lacking)
    for name in ("vocabulary", "width", "ff", "context", "head"):
        if getattr(shape, name) % 32:
            return f"{name} {getattr(shape, name)} is not a multiple of 32"
    return None


class OwnBackend:
    """gradients() and loss() through the core; see gradients.py."""

    device = "cpu"

    def __init__(self, shape, lanes, torch, lib):
        import model
        self.torch, self.lanes, self.lib = torch, lanes, lib
        self.name = f"own core, {lanes} lanes"
        cos, sin = model.rope_tables(shape)
        cos = cos.repeat_interleave(2, dim=1).contiguous()
        sin = self.torch.stack((-sin, sin), dim=-1).flatten(1).contiguous()
        sizes = _Shape(*(getattr(shape, name) for name, _ in _Shape._fields_))
        self.core = lib.core_open(ctypes.byref(sizes), lanes, cos.data_ptr(), sin.data_ptr())
        self.sizes = shape.tensors()
        self.views, self.gradient_views = self.like_weights(), self.like_weights()

    def __del__(self):
        if getattr(self, "core", None):
            self.lib.core_close(self.core)

    def _run(self, weights, batch, gradients):
        for name, view in self.views.items():
            if weights[name].data_ptr() != view.data_ptr():
                view.copy_(weights[name])
        parts = [self.torch.from_numpy(getattr(batch, name)).to(self.torch.int32).contiguous()
                 for name in ("tokens", "targets", "positions")]
        squares = ctypes.c_double()
        loss = self.lib.core_run(self.core, _start(self.views), *(p.data_ptr() for p in parts),
                                 parts[0].shape[0],
                                 _start(self.gradient_views) if gradients else None,
                                 ctypes.byref(squares))
        return loss, squares.value ** 0.5

    def like_weights(self):
        """Zeros under the weights' names, in one array laid out as the core wants it."""
        flat = self.torch.zeros(sum(_count(size) for size in self.sizes.values()))
        views, at = {}, 0
        for name, size in self.sizes.items():
            views[name] = flat[at:at + _count(size)].view(size)
            at += _count(size)
        return views

    def adopt(self, weights):
        """The same weights, living where the core reads them."""
        for name, view in self.views.items():
            view.copy_(weights[name])
        return dict(self.views)

    def gradients(self, weights, batch):
        loss, norm = self._run(weights, batch, True)
        return loss, self.gradient_views, norm

    def loss(self, weights, batch):
        return self._run(weights, batch, False)[0]

    def step(self, o, scale, factor):
        """One step of an Optimizer whose weights and state are of this backend's making."""
        rates = _Rates(scale, o.rates[0] * factor, o.rates[1] * factor, o.momentum, o.decay,
                       *o.betas, o.eps, *(1 - beta ** o.steps for beta in o.betas))
        arrays = _Arrays(_start(o.weights), _start(self.gradient_views), _start(o.first),
                         _start(o.second))
        self.lib.core_step(self.core, ctypes.byref(arrays), ctypes.byref(rates))


def _count(size):
    count = 1
    for n in size:
        count *= n
    return count


def _start(views):
    """Where the array begins that like_weights() cut into views."""
    return next(iter(views.values())).data_ptr()


def open(shape, lanes, torch):
    """(backend, None), or (None, why not)."""
    if why := problem(shape):
        return None, why
    try:
        lib = ctypes.CDLL(str(library()))
    except FileNotFoundError as error:
        return None, f"no C++ compiler ({error.filename}); on Debian: apt-get install g++"
    except subprocess.CalledProcessError as error:
        lines = [line for line in error.stderr.splitlines() if "error" in line] or ["no message"]
        return None, f"core.cpp does not compile here: {lines[0]}"
    except OSError as error:
        return None, f"the core cannot be loaded: {error}"
    pointer, integer = ctypes.c_void_p, ctypes.c_int
    lib.core_open.restype = pointer
    lib.core_open.argtypes = [pointer, integer, pointer, pointer]
    lib.core_close.argtypes = [pointer]
    lib.core_close.restype = None
    lib.core_run.restype = ctypes.c_double
    lib.core_run.argtypes = [pointer, pointer, pointer, pointer, pointer, integer, pointer,
                             pointer]
    lib.core_step.restype = None
    lib.core_step.argtypes = [pointer, pointer, pointer]
    backend = OwnBackend(shape, lanes, torch, lib)
    if not backend.core:
        return None, "the system gave no memory or no permission for AMX tiles"
    return backend, None
