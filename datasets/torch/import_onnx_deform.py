"""ONNX's node tests of DeformConv as a suite that `internimage vectors --score` reads.

    pip install onnx h5py numpy
    python datasets/torch/import_onnx_deform.py onnx_deform
    internimage vectors --score onnx_deform

The cases come from the installed onnx package, with its own tolerances.
"""
import argparse
import os
import warnings

import h5py
import numpy as np
import onnx
from onnx.backend.test.case.node import collect_testcases


def cases():
    """The test cases, made by the package; making the other operators' warns."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [c for c in collect_testcases("DeformConv")
                if c.model.graph.node[0].op_type == "DeformConv"]


def attributes(node):
    found = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    pads = found.get("pads", [0, 0, 0, 0])
    if pads[:2] != pads[2:]:
        raise SystemExit("pads %s differ in front and behind: not supported" % pads)
    stride, dilation = found.get("strides", [1, 1]), found.get("dilations", [1, 1])
    return dict(stride_h=stride[0], stride_w=stride[1], pad_h=pads[0], pad_w=pads[1],
                dilation_h=dilation[0], dilation_w=dilation[1], groups=found.get("group", 1),
                offset_groups=found.get("offset_group", 1))


def write(f, case):
    node = case.model.graph.node[0]
    inputs, outputs = case.data_sets[0]
    # Left-out inputs have an empty name, and no array.
    values = dict(zip((i for i, name in enumerate(node.input) if name), inputs))
    x, weight, offset, bias, mask = (values.get(i) for i in range(5))
    group = f.create_group("dcnv2 " + case.name)
    group.attrs["op"] = np.bytes_("dcnv2")
    group.attrs["kernel_h"], group.attrs["kernel_w"] = weight.shape[2:]
    group.attrs["out_channels"] = weight.shape[0]
    group.attrs["bias"] = int(bias is not None)
    for name, value in attributes(node).items():
        group.attrs[name] = value
    for name, value in (("in/input", x), ("in/offset", offset), ("in/mask", mask),
                        ("param/weight", weight), ("param/bias", bias),
                        ("float32/output", outputs[0])):
        if value is not None:
            group[name] = value.astype(np.float32)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", help="where onnx_deform.h5 is written")
    folder = parser.parse_args().folder
    found = cases()
    if not found:
        raise SystemExit("this onnx package has no node tests of DeformConv")
    os.makedirs(folder, exist_ok=True)
    with h5py.File(os.path.join(folder, "onnx_deform.h5"), "w") as f:
        f.attrs["format"], f.attrs["version"] = np.bytes_("internimage-golden"), 1
        f.attrs["kind"] = np.bytes_("ops")
        f.attrs["rtol"], f.attrs["atol"] = found[0].rtol, found[0].atol
        for case in found:
            write(f, case)
    print("%d cases of onnx %s in %s" % (len(found), onnx.__version__, folder))


if __name__ == "__main__":
    main()
