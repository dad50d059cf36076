"""Writes (and, for tests, reads) GGUF files, version 3: metadata, table of tensors, data."""

import struct
from pathlib import Path

MAGIC, VERSION, ALIGNMENT = b"GGUF", 3, 32
U32, I32, F32, BOOL, STRING, ARRAY = 4, 5, 6, 7, 8, 9  # value types
TYPE_F32, TYPE_F16 = 0, 1                              # tensor types
_PLAIN = {U32: "<I", I32: "<i", F32: "<f", BOOL: "<?"}


def _string(text):
    raw = text.encode("utf-8") if isinstance(text, str) else text
    return struct.pack("<Q", len(raw)) + raw


def _value(kind, value):
    return _string(value) if kind == STRING else struct.pack(_PLAIN[kind], value)


def _pair(key, kind, value):
    """kind is a value type, or (ARRAY, type of the elements)."""
    if isinstance(kind, tuple):
        body = struct.pack("<iiQ", ARRAY, kind[1], len(value))
        return _string(key) + body + b"".join(_value(kind[1], v) for v in value)
    return _string(key) + struct.pack("<i", kind) + _value(kind, value)


def write(path, metadata, tensors):
    """metadata: [(key, kind, value)]; tensors: [(name, tensor type, numpy array, rows first)]."""
    out = [MAGIC, struct.pack("<IQQ", VERSION, len(tensors), len(metadata))]
    out += [_pair(*row) for row in metadata]
    offset = 0
    for name, kind, array in tensors:
        sizes = array.shape[::-1]
        out.append(_string(name) + struct.pack(f"<I{len(sizes)}q", len(sizes), *sizes) +
                   struct.pack("<iQ", kind, offset))
        offset += -(-array.nbytes // ALIGNMENT) * ALIGNMENT
    head = b"".join(out)
    with open(path, "wb") as file:
        file.write(head + bytes(-len(head) % ALIGNMENT))
        for _, _, array in tensors:
            file.write(array.tobytes())
            file.write(bytes(-array.nbytes % ALIGNMENT))


def read(path):
    """({key: value}, {name: (type, sizes, bytes)}) of a file that write() wrote."""
    data = Path(path).read_bytes()
    at = 0

    def take(form):
        nonlocal at
        values = struct.unpack_from("<" + form, data, at)
        at += struct.calcsize("<" + form)
        return values if len(values) > 1 else values[0]

    def string():
        nonlocal at
        size = take("Q")
        at += size
        return data[at - size:at].decode("utf-8")

    def value(kind):
        if kind == ARRAY:
            element, count = take("iQ")
            return [value(element) for _ in range(count)]
        return string() if kind == STRING else take(_PLAIN[kind][1:])

    assert data[:4] == MAGIC
    at = 4
    version, count, pairs = take("IQQ")
    assert version == VERSION
    metadata = {}
    for _ in range(pairs):
        key = string()
        metadata[key] = value(take("i"))
    table = []
    for _ in range(count):
        name = string()
        sizes = [take("q") for _ in range(take("I"))]
        table.append((name, sizes, *take("iQ")))
    base = -(-at // ALIGNMENT) * ALIGNMENT
    tensors = {}
    for name, sizes, kind, offset in table:
        length = {TYPE_F32: 4, TYPE_F16: 2}[kind]
        for size in sizes:
            length *= size
        tensors[name] = (kind, sizes, data[base + offset:base + offset + length])
    return metadata, tensors
