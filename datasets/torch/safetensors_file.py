"""Reads .safetensors files: 8 bytes of header length, JSON header, raw tensors."""
import json
import os

import numpy as np

# bfloat16 has no numpy type: it is the upper half of a float32.
TYPES = {"F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": np.uint16,
         "I64": np.int64, "I32": np.int32}
MOST_HEADER = 100 << 20


class BadFile(Exception):
    """A malformed file; the text says what and where."""


def read_header(f, path, size):
    length = int.from_bytes(f.read(8), "little")
    if size < 8 or length > min(size - 8, MOST_HEADER):
        raise BadFile("%s: header of %d bytes in a file of %d" % (path, length, size))
    try:
        header = json.loads(f.read(length).decode("utf-8"))
    except ValueError as e:
        raise BadFile("%s: the header is no JSON: %s" % (path, e)) from None
    if not isinstance(header, dict):
        raise BadFile("%s: the header is no JSON object" % path)
    header.pop("__metadata__", None)
    return header, size - 8 - length


def read_entry(path, key, entry, room):
    """(numpy type, shape, begin, end), all checked."""
    try:
        kind, shape = TYPES[entry["dtype"]], [int(n) for n in entry["shape"]]
        begin, end = (int(n) for n in entry["data_offsets"])
    except (KeyError, TypeError, ValueError):
        raise BadFile("%s: the entry of '%s' is malformed or of an unknown type: %s"
                      % (path, key, str(entry)[:120])) from None
    count = 1
    for n in shape:
        if n < 0:
            raise BadFile("%s: '%s' has shape %s" % (path, key, shape))
        count *= n
    if not 0 <= begin <= end <= room or end - begin != count * np.dtype(kind).itemsize:
        raise BadFile("%s: '%s' has shape %s and bytes %d to %d of %d"
                      % (path, key, shape, begin, end, room))
    return kind, shape, begin, end


def read(path):
    """All tensors by key, as float32 (integers as they are)."""
    size = os.path.getsize(path)
    tensors = {}
    with open(path, "rb") as f:
        header, room = read_header(f, path, size)
        start = f.tell()
        for key, entry in header.items():
            kind, shape, begin, end = read_entry(path, key, entry, room)
            f.seek(start + begin)
            values = np.frombuffer(f.read(end - begin), kind)
            if entry["dtype"] == "BF16":
                values = (values.astype(np.uint32) << 16).view(np.float32)
            elif np.issubdtype(values.dtype, np.floating):
                values = values.astype(np.float32)
            tensors[key] = values.reshape(shape)
    return tensors
