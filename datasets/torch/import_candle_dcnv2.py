"""The golden files of candle-dcnv2 as a suite that `internimage vectors --score` reads.

    git clone https://github.com/developer0hye/candle-dcnv2
    python datasets/torch/import_candle_dcnv2.py candle-dcnv2/test-data candle
    internimage vectors --score candle

Each safetensors file there is one case computed by torchvision: input, offset, weight, output,
perhaps mask and bias. Stride and padding are not in the files; they are told from the shapes:
stride 1 or 2, and padding that keeps the size, or none. The tolerance is that project's
(rtol 1e-4, atol 1e-5).
"""
import argparse
import glob
import os

import h5py
import numpy as np

import safetensors_file

RTOL, ATOL = 1e-4, 1e-5


def window(size, out, kernel):
    """(stride, pad) along one axis."""
    for stride in (1, 2):
        for pad in ((kernel - 1) // 2, 0):
            if (size + 2 * pad - kernel) // stride + 1 == out:
                return stride, pad
    raise SystemExit("no stride of 1 or 2 takes %d to %d with a kernel of %d" % (size, out, kernel))


def write(f, name, tensors):
    x, weight, y = tensors["input"], tensors["weight"], tensors["output"]
    group = f.create_group("dcnv2 " + name)
    group.attrs["op"] = np.bytes_("dcnv2")
    group.attrs["out_channels"], group.attrs["bias"] = weight.shape[0], int("bias" in tensors)
    for axis, at in (("h", 2), ("w", 3)):
        kernel = weight.shape[at]
        stride, pad = window(x.shape[at], y.shape[at], kernel)
        group.attrs["kernel_" + axis] = kernel
        group.attrs["stride_" + axis], group.attrs["pad_" + axis] = stride, pad
    for part, keys in (("in", ("input", "offset", "mask")), ("param", ("weight", "bias"))):
        for key in keys:
            if key in tensors:
                group[part + "/" + key] = tensors[key].astype(np.float32)
    group["float32/output"] = y.astype(np.float32)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", help="the folder with the safetensors files")
    parser.add_argument("folder", help="where candle.h5 is written")
    arguments = parser.parse_args()
    files = sorted(glob.glob(os.path.join(arguments.data, "*.safetensors")))
    if not files:
        raise SystemExit("there is no safetensors file in " + arguments.data)
    os.makedirs(arguments.folder, exist_ok=True)
    with h5py.File(os.path.join(arguments.folder, "candle.h5"), "w") as f:
        f.attrs["format"], f.attrs["version"] = np.bytes_("internimage-golden"), 1
        f.attrs["kind"] = np.bytes_("ops")
        f.attrs["rtol"], f.attrs["atol"] = RTOL, ATOL
        for path in files:
            write(f, os.path.basename(path)[:-len(".safetensors")], safetensors_file.read(path))
    print("%d cases in %s" % (len(files), arguments.folder))


if __name__ == "__main__":
    main()
