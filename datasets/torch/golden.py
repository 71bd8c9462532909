"""Writing golden files (docs/formats.md)."""
import h5py
import numpy as np
import torch

import seeded

VERSION = 1


def create(path, kind):
    # HDF5 1.8's compact groups: half the size, and every reader since 2008 knows them
    f = h5py.File(path, "w", libver=("v108", "v108"))
    f.attrs["format"] = "internimage-golden"
    f.attrs["version"] = VERSION
    f.attrs["kind"] = kind
    f.attrs["torch"] = str(torch.__version__)
    return f


def write_config(f, config):
    """Architecture as root attributes; lists as integer arrays, empty ones left out."""
    for name, value in config.items():
        if isinstance(value, (tuple, list)):
            if value:
                f.attrs["config." + name] = np.asarray(value, dtype=np.int64)
        elif isinstance(value, bool):
            f.attrs["config." + name] = int(value)
        else:
            f.attrs["config." + name] = value


def write_tensor(group, path, tensor, layout, limit):
    """One tensor; above `limit` elements only 64 samples, mean and rms are kept."""
    values = tensor.detach().cpu().contiguous().numpy()
    if limit is not None and values.size > limit:
        flat, full = values.reshape(-1), values.astype(np.float64)
        data = group.create_dataset(path, data=flat[seeded.positions(path, flat.size)])
        data.attrs["shape"] = np.asarray(values.shape, dtype=np.int64)
        data.attrs["mean"] = float(full.mean())
        data.attrs["rms"] = float(np.sqrt((full * full).mean()))
    else:
        data = group.create_dataset(path, data=values)
    data.attrs["layout"] = np.bytes_(layout)


def write_compressed(f, name, array):
    f.create_dataset(name, data=array, compression="gzip", shuffle=True)


def read_ppm(path):
    """Binary PPM (P6, 8 bit) as uint8 [H, W, 3]."""
    with open(path, "rb") as f:
        data = f.read()
    fields, at = [], 0
    while len(fields) < 4:
        end = at
        while data[end:end + 1].strip():
            end += 1
        fields.append(data[at:end])
        at = end + 1
    width, height, depth = (int(x) for x in fields[1:])
    if fields[0] != b"P6" or depth != 255:
        raise ValueError("%s: not an 8-bit P6 image" % path)
    return np.frombuffer(data, np.uint8, width * height * 3, at).reshape(height, width, 3)


def normalise(image):
    """uint8 [H, W, 3] to the network's float32 input [1, 3, H, W]."""
    mean = np.array([0.485, 0.456, 0.406], dtype=np.float32)
    std = np.array([0.229, 0.224, 0.225], dtype=np.float32)
    x = (image.astype(np.float32) / np.float32(255) - mean) / std
    return np.ascontiguousarray(x.transpose(2, 0, 1)[None])
