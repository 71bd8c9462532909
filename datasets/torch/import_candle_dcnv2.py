"""The golden files of candle-dcnv2 as a suite that `internimage vectors --score` reads.

    git clone https://github.com/developer0hye/candle-dcnv2
    python datasets/torch/import_candle_dcnv2.py candle-dcnv2/test-data candle
    internimage vectors --score candle

Each safetensors file there is one case computed by torchvision: input [N,C,H,W], offset, weight,
output, perhaps mask and bias. Files taken from a real model (birefnet_dcn_*) also hold stride_h,
stride_w, padding_h, padding_w, dilation_h and dilation_w as whole numbers without dimensions. In
the others the dilation is 1, stride and padding are told from the shapes: stride 1 or 2, and
padding that keeps the size, or none. What else is in a file (conv2d_output,
expected_bias_only) says the same as output and is left out. The tolerance is that project's: the
largest difference below 1e-4.
"""
import argparse
import glob
import os

import h5py
import numpy as np

import safetensors_file

RTOL, ATOL = 0.0, 1e-4


def window(tensors, axis, size, out, kernel):
    """(stride, pad, dilation) along one axis, "h" or "w"."""
    keys = [name + "_" + axis for name in ("stride", "padding", "dilation")]
    if all(key in tensors for key in keys):
        return tuple(int(tensors[key].item()) for key in keys)
    for stride in (1, 2):
        for pad in ((kernel - 1) // 2, 0):
            if (size + 2 * pad - kernel) // stride + 1 == out:
                return stride, pad, 1
    raise SystemExit("no stride of 1 or 2 takes %d to %d with a kernel of %d" % (size, out, kernel))


def write(f, name, tensors):
    missing = [key for key in ("input", "offset", "weight", "output") if key not in tensors]
    if missing:
        raise SystemExit("%s.safetensors: there is no %s in it" % (name, ", ".join(missing)))
    x, weight, y = tensors["input"], tensors["weight"], tensors["output"]
    group = f.create_group("dcnv2 " + name)
    group.attrs["op"] = np.bytes_("dcnv2")
    group.attrs["out_channels"], group.attrs["bias"] = weight.shape[0], int("bias" in tensors)
    for axis, at in (("h", 2), ("w", 3)):
        kernel = weight.shape[at]
        stride, pad, dilation = window(tensors, axis, x.shape[at], y.shape[at], kernel)
        for attribute, value in (("kernel", kernel), ("stride", stride), ("pad", pad),
                                 ("dilation", dilation)):
            group.attrs[attribute + "_" + axis] = value
    for part, keys in (("in", ("input", "offset", "mask")), ("param", ("weight", "bias"))):
        for key in keys:
            if key in tensors:
                group[part + "/" + key] = tensors[key].astype(np.float32)
    group["float32/output"] = y.astype(np.float32)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", help="the folder with the safetensors files")
    parser.add_argument("folder", help="where candle.h5 is written")
    arguments = parser.parse_args(arguments)
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
