"""Parameters without downloads: integer hashing, the same bits as in C.

The definition is in docs/formats.md, "The seeded generator".
"""
import numpy as np

MASK = (1 << 64) - 1


def fnv1a(text):
    """FNV-1a, 64 bits, of a string's bytes."""
    h = 14695981039346656037
    for byte in text.encode():
        h = ((h ^ byte) * 1099511628211) & MASK
    return h


def _mix(z):
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def hashes(name, count, seed):
    """hash(name, i) for i in 0..count-1, as uint64."""
    start = np.uint64((fnv1a(name) + seed * 0xD1B54A32D192ED03) & MASK)
    index = np.arange(1, count + 1, dtype=np.uint64)
    return _mix(start + index * np.uint64(0x9E3779B97F4A7C15))


def uniform(name, count, seed):
    """u(name, i) in [-1, 1), exact in float32."""
    top = (hashes(name, count, seed) >> np.uint64(40)).astype(np.int32) - (1 << 23)
    return top.astype(np.float32) * np.float32(2.0 ** -23)


def positions(path, count, samples=64):
    """Flat indices at which a tensor of `count` elements is sampled."""
    return (hashes(path, samples, 0) % np.uint64(count)).astype(np.int64)


def center_and_scale(key, shape):
    """The generator's table: where a parameter lies and how far it spreads."""
    fan_in = int(np.prod(shape, dtype=np.int64)) // shape[0]
    if key.endswith("running_mean"):
        return 0.0, 0.1
    if key.endswith("running_var"):
        return 1.0, 0.25
    if key.endswith(("gamma1", "gamma2")):
        return 0.5, 0.25
    if key.endswith("offset.bias"):
        return 0.0, 0.5
    if key.endswith("bias"):
        return 0.0, 0.1
    if len(shape) == 1:
        return 1.0, 0.25
    unit = np.sqrt(np.float64(3.0) / np.float64(fan_in))
    if key.endswith("offset.weight"):
        return 0.0, 1.5 * unit
    if key.endswith("mask.weight"):
        return 0.0, 2.5 * unit
    return 0.0, unit


def parameter(key, shape, seed):
    """The values of one parameter, float32, in its PyTorch shape."""
    center, scale = center_and_scale(key, tuple(shape))
    count = int(np.prod(shape, dtype=np.int64))
    scaled = np.float32(scale) * uniform(key, count, seed)
    return (np.float32(center) + scaled).reshape(shape)


def fill(model, seed):
    """Sets every parameter and buffer of a module from the generator."""
    import torch

    with torch.no_grad():
        for key, tensor in model.state_dict().items():
            if not key.endswith("num_batches_tracked"):
                tensor.copy_(torch.from_numpy(parameter(key, tuple(tensor.shape), seed)))
