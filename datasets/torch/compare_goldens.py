"""Checks that two golden files say the same: equal structure, attributes and inputs,
float64 values to 1e-12 relative RMS, float32 values to 1e-3 (PyTorch's float32 sums
depend on its version and the machine's vector width, and layers amplify them). Exit code 0 or 1."""
import sys

import h5py
import numpy as np

IGNORED = {"torch"}                     # the version may differ


def limit_of(path):
    if "float64/" in path:
        return 1e-12
    return 1e-3 if "float32/" in path else 0.0


def collect(f):
    found = {}
    f.visititems(lambda path, item: found.__setitem__(path, item))
    return found


def relative_rms(x, y, smallest):
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    both = np.isfinite(x) & np.isfinite(y)
    if not np.array_equal(np.isfinite(x), np.isfinite(y)):
        return float("inf")
    difference = np.sqrt(((x[both] - y[both]) ** 2).sum())
    return float(difference / max(np.sqrt((y[both] ** 2).sum()), smallest))


def differences(a, b):
    """One sentence per difference."""
    first, second = collect(a), collect(b)
    for path in sorted(set(first) ^ set(second)):
        yield "%s is only in %s" % (path, a.filename if path in first else b.filename)
    # a gradient that is zero by symmetry is noise: judged against the largest one
    largest = max([1e-30] + [float(np.sqrt((np.asarray(v, np.float64) ** 2).sum()))
                             for k, v in second.items()
                             if "grad/" in k and isinstance(v, h5py.Dataset)])
    for path in sorted(set(first) & set(second)):
        x, y = first[path], second[path]
        if isinstance(x, h5py.Group):
            continue
        if x.shape != y.shape:
            yield "%s: shapes %s and %s" % (path, x.shape, y.shape)
            continue
        error = relative_rms(x[()], y[()], 1e-3 * largest if "grad/" in path else 1e-30)
        if not error <= limit_of(path):
            yield "%s: differs by %.2e, allowed %.0e" % (path, error, limit_of(path))
    for name in sorted((set(a.attrs) | set(b.attrs)) - IGNORED):
        if name not in a.attrs or name not in b.attrs:
            yield "attribute %s is only in one file" % name
        elif name.startswith("grid_sample."):
            continue                    # a measurement
        elif not np.array_equal(a.attrs[name], b.attrs[name]):
            yield "attribute %s: %s and %s" % (name, a.attrs[name], b.attrs[name])


def main():
    if len(sys.argv) != 3:
        raise SystemExit("usage: compare_goldens.py A.h5 B.h5")
    with h5py.File(sys.argv[1], "r") as a, h5py.File(sys.argv[2], "r") as b:
        found = list(differences(a, b))
        count = len(collect(a))
    for text in found[:20]:
        print(text)
    print("%d objects compared, %d differences" % (count, len(found)))
    raise SystemExit(1 if found else 0)


if __name__ == "__main__":
    main()
