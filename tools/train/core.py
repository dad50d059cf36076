"""Builds and calls the C++ core (core/), which computes loss and gradients on CPUs with AMX tiles."""

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
            command = [os.environ.get("CXX", "c++"), *FLAGS, str(SOURCES / "core.cpp"), "-o", str(made)]
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
        values = [getattr(shape, name) for name, _ in _Shape._fields_]
        self.core = lib.core_open(ctypes.byref(_Shape(*values)), lanes, cos.data_ptr(), sin.data_ptr())
        self.sizes = shape.tensors()
        count = sum(_count(size) for size in self.sizes.values())
        self.flat = torch.zeros(count)
        self.flat_gradients = torch.zeros(count)
        self.views = _views(self.flat, self.sizes)
        self.gradient_views = _views(self.flat_gradients, self.sizes)

    def __del__(self):
        if getattr(self, "core", None):
            self.lib.core_close(self.core)

    def _run(self, weights, batch, gradients):
        for name, view in self.views.items():
            if weights[name].data_ptr() != view.data_ptr():
                view.copy_(weights[name])
        parts = [self.torch.from_numpy(getattr(batch, name)).to(self.torch.int32).contiguous()
                 for name in ("tokens", "targets", "positions")]
        return self.lib.core_run(self.core, self.flat.data_ptr(), *(p.data_ptr() for p in parts),
                                 parts[0].shape[0],
                                 self.flat_gradients.data_ptr() if gradients else None)

    def adopt(self, weights):
        """The same weights, living where the core reads them."""
        for name, view in self.views.items():
            view.copy_(weights[name])
        return dict(self.views)

    def gradients(self, weights, batch):
        return self._run(weights, batch, True), self.gradient_views

    def loss(self, weights, batch):
        return self._run(weights, batch, False)


def _count(size):
    count = 1
    for n in size:
        count *= n
    return count


def _views(flat, sizes):
    views, at = {}, 0
    for name, size in sizes.items():
        views[name] = flat[at:at + _count(size)].view(size)
        at += _count(size)
    return views


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
    lib.core_run.argtypes = [pointer, pointer, pointer, pointer, pointer, integer, pointer]
    backend = OwnBackend(shape, lanes, torch, lib)
    if not backend.core:
        return None, "the system gave no memory or no permission for AMX tiles"
    return backend, None
