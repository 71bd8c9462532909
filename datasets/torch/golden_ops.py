"""The golden file of ops: every op of the table, in float64 and float32.

Inputs are seeded float32 numbers; both precisions start from exactly these. Shapes
and offsets are chosen to tell wrong conventions apart: nothing is square, windows
differ in height and width, offsets of +-3 px leave the image in 10-30 % of the
points, and special cases sit exactly on pixels, on the border, and beyond.
"""
import math
import os

import numpy as np
import torch
import torch.nn.functional as F

import dcn
import golden
import seeded

SEED = 1


class Case:
    """One op on one shape. `inputs` and `params` are float32 arrays by name; `run`
    computes the output from dictionaries of tensors."""

    def __init__(self, name, op, attrs, inputs, params, run, buffers=(), condition=1.0):
        self.condition = condition
        self.name, self.op, self.attrs = name, op, attrs
        self.inputs, self.params, self.run, self.buffers = inputs, params, run, buffers


def values(case, tensor, shape, scale=1.0, center=0.0):
    u = seeded.uniform(case + "/" + tensor, int(np.prod(shape)), SEED)
    return (np.float32(center) + np.float32(scale) * u).reshape(shape)


def pair(name, a, b, default):
    """`s1x2`, or nothing when both are the default."""
    return "" if (a, b) == (default, default) else "%s%dx%d" % (name, a, b)


def window_name(kernel, stride, pad, dilation):
    return ("k%dx%d" % kernel + pair("s", *stride, 1) + pair("p", *pad, 0)
            + pair("d", *dilation, 1))


def window_attrs(kernel, stride, pad, dilation):
    return dict(kernel_h=kernel[0], kernel_w=kernel[1], stride_h=stride[0], stride_w=stride[1],
                pad_h=pad[0], pad_w=pad[1], dilation_h=dilation[0], dilation_w=dilation[1])


def softmax32(logits):
    z = np.exp(logits.astype(np.float64))
    return (z / z.sum(-1, keepdims=True)).astype(np.float32)


# --- deformable convolutions ------------------------------------------------------

def special_offsets(kind, offset, name):
    """Offsets that sit where conventions differ."""
    flat = offset.reshape(-1)
    pick = seeded.hashes(name + "/special", flat.size, SEED)
    if kind == "integer":               # every sample exactly on a pixel, or on -1, W, H
        flat[:] = np.round(flat)
    elif kind == "half":
        flat[:] = np.floor(flat) + np.float32(0.5)
    elif kind == "zero":
        flat[:] = 0
    elif kind == "far":                 # NaN, infinite and huge: such points give 0
        bad = np.array([np.nan, np.inf, -np.inf, 1e30, -1e30, 3e9], dtype=np.float32)
        chosen = pick % np.uint64(7) == 0
        flat[chosen] = bad[((pick[chosen] >> np.uint64(8)) % np.uint64(6)).astype(int)]
    return offset


def dcnv3_case(n, h, w, g, c, kernel, stride=(1, 1), pad=(0, 0), dilation=(1, 1), scale=1.0,
               remove_center=False, kind="", spread=3.0):
    name = "dcnv3 n%dh%dw%dg%dc%d%s" % (n, h, w, g, c, window_name(kernel, stride, pad, dilation))
    name += "" if scale == 1 else "o%g" % scale
    name += "rc" if remove_center else ""
    name += "-" + kind if kind else ""
    name += "" if spread == 3 else "-spread%g" % spread
    points = kernel[0] * kernel[1] - int(remove_center)
    ho = dcn.out_size(h, kernel[0], stride[0], pad[0], dilation[0])
    wo = dcn.out_size(w, kernel[1], stride[1], pad[1], dilation[1])
    offset = special_offsets(kind, values(name, "offset", (n, ho, wo, g, points, 2), spread), name)
    mask = softmax32(values(name, "mask", (n, ho, wo, g, points), 2.0))
    attrs = window_attrs(kernel, stride, pad, dilation)
    attrs.update(groups=g, offset_scale=float(scale), remove_center=int(remove_center))

    def run(x, p):
        return dcn.dcnv3(x["input"], x["offset"], x["mask"], kernel, stride, pad, dilation, g,
                         scale, remove_center)
    inputs = dict(input=values(name, "input", (n, h, w, g * c), 2.0),
                  offset=offset.reshape(n, ho, wo, -1), mask=mask.reshape(n, ho, wo, -1))
    return Case(name, "dcnv3", attrs, inputs, {}, run)


def dcnv2_case(n, h, w, i, o, kernel, stride=(1, 1), pad=(0, 0), dilation=(1, 1), groups=1,
               offset_groups=1, masked=True, bias=True, kind=""):
    name = "dcnv2 n%dh%dw%di%do%d%s" % (n, h, w, i, o, window_name(kernel, stride, pad, dilation))
    name += "" if groups == 1 else "g%d" % groups
    name += "" if offset_groups == 1 else "og%d" % offset_groups
    name += ("" if masked else "-nomask") + ("" if bias else "-nobias")
    name += "-" + kind if kind else ""
    taps = kernel[0] * kernel[1]
    ho = dcn.out_size(h, kernel[0], stride[0], pad[0], dilation[0])
    wo = dcn.out_size(w, kernel[1], stride[1], pad[1], dilation[1])
    offset = special_offsets(kind, values(name, "offset", (n, offset_groups * taps * 2, ho, wo),
                                          3.0), name)
    inputs = dict(input=values(name, "input", (n, i, h, w), 2.0), offset=offset)
    if masked:
        inputs["mask"] = values(name, "mask", (n, offset_groups * taps, ho, wo), 0.5, 0.5)
    params = dict(weight=values(name, "weight", (o, i // groups, *kernel)))
    if bias:
        params["bias"] = values(name, "bias", (o,))
    attrs = window_attrs(kernel, stride, pad, dilation)
    attrs.update(out_channels=o, groups=groups, offset_groups=offset_groups, bias=int(bias))

    def run(x, p):
        return dcn.dcnv2(x["input"], x["offset"], x.get("mask"), p["weight"], p.get("bias"),
                         stride, pad, dilation, groups, offset_groups)
    return Case(name, "dcnv2", attrs, inputs, params, run)


def dcnv3_cases():
    k3, one = (3, 3), (1, 1)
    yield dcnv3_case(2, 7, 11, 3, 8, k3, pad=one)
    yield dcnv3_case(2, 7, 11, 3, 8, (3, 5), (1, 2), (1, 2), (1, 2), 1.5)
    yield dcnv3_case(2, 9, 6, 2, 5, (5, 3), (2, 1), (2, 0), (2, 1), 0.7)
    yield dcnv3_case(1, 8, 10, 1, 16, k3, pad=one, scale=2.0)
    yield dcnv3_case(1, 6, 9, 2, 32, k3, pad=one)
    yield dcnv3_case(2, 6, 7, 4, 4, k3, pad=one, remove_center=True)
    yield dcnv3_case(1, 7, 9, 2, 3, (5, 5), pad=(2, 2), remove_center=True, scale=1.5)
    yield dcnv3_case(1, 6, 8, 2, 4, (3, 5), pad=(1, 2), remove_center=True)
    yield dcnv3_case(1, 1, 9, 2, 4, k3, pad=one)
    yield dcnv3_case(2, 9, 1, 2, 4, k3, pad=one, scale=2.0)
    yield dcnv3_case(1, 1, 1, 1, 1, k3, pad=one, spread=0.9)
    yield dcnv3_case(2, 5, 7, 2, 4, (1, 1))
    yield dcnv3_case(1, 6, 7, 2, 4, (2, 2), scale=1.5)
    yield dcnv3_case(1, 6, 9, 2, 4, (2, 4), (2, 3), (1, 2), (2, 1), 2.0)
    yield dcnv3_case(3, 8, 5, 5, 1, k3, (2, 2), one)
    yield dcnv3_case(1, 12, 14, 2, 4, k3, (3, 2), (4, 3), (3, 2))
    yield dcnv3_case(1, 4, 5, 2, 4, k3, pad=one, spread=40.0)
    for kind in ("integer", "half", "zero", "far"):
        yield dcnv3_case(2, 6, 8, 2, 4, k3, pad=one, kind=kind)
    yield dcnv3_case(1, 6, 8, 2, 4, (3, 5), (2, 1), (1, 2), kind="far", scale=1.5)


def dcnv2_cases():
    k3, one = (3, 3), (1, 1)
    yield dcnv2_case(2, 7, 9, 6, 4, k3, pad=one)
    yield dcnv2_case(2, 7, 10, 4, 6, (3, 5), (1, 2), (1, 2), (1, 2))
    yield dcnv2_case(1, 9, 6, 8, 4, (5, 3), (2, 1), (2, 0), (2, 1), groups=2, offset_groups=4)
    yield dcnv2_case(2, 6, 7, 4, 4, k3, pad=one, offset_groups=2)
    yield dcnv2_case(1, 6, 7, 4, 6, k3, pad=one, groups=2)
    yield dcnv2_case(2, 6, 7, 4, 3, k3, pad=one, masked=False)
    yield dcnv2_case(1, 6, 7, 4, 3, k3, pad=one, masked=False, bias=False, offset_groups=2)
    yield dcnv2_case(1, 5, 7, 3, 5, k3, pad=one, bias=False)
    yield dcnv2_case(1, 1, 8, 2, 3, k3, pad=one)
    yield dcnv2_case(1, 8, 1, 2, 3, k3, pad=one)
    yield dcnv2_case(2, 5, 6, 4, 5, (1, 1))
    yield dcnv2_case(1, 6, 7, 2, 3, (2, 4), (2, 3), (1, 2))
    yield dcnv2_case(1, 6, 7, 5, 4, k3, pad=one, groups=1, offset_groups=5)
    for kind in ("integer", "half", "zero", "far"):
        yield dcnv2_case(1, 6, 8, 4, 3, k3, pad=one, kind=kind)


# --- everything else ----------------------------------------------------------------

def nchw(x):
    return x.permute(0, 3, 1, 2)


def nhwc(x):
    return x.permute(0, 2, 3, 1)


def conv2d_case(n, h, w, i, o, kernel, stride=(1, 1), pad=(0, 0), dilation=(1, 1), groups=1,
                bias=True, depthwise=False):
    op = "dwconv2d" if depthwise else "conv2d"
    name = "%s n%dh%dw%di%do%d%s" % (op, n, h, w, i, o, window_name(kernel, stride, pad, dilation))
    name += "" if depthwise or groups == 1 else "g%d" % groups
    name += "" if bias else "-nobias"
    params = dict(weight=values(name, "weight", (o, i // groups, *kernel)))
    if bias:
        params["bias"] = values(name, "bias", (o,))
    attrs = window_attrs(kernel, stride, pad, dilation)
    attrs["bias"] = int(bias)
    if not depthwise:
        attrs.update(out_channels=o, groups=groups)

    def run(x, p):
        return nhwc(F.conv2d(nchw(x["input"]), p["weight"], p.get("bias"), stride, pad, dilation,
                             groups))
    return Case(name, op, attrs, dict(input=values(name, "input", (n, h, w, i), 2.0)), params, run)


def simple(op, shape_name, attrs, inputs, params, run, buffers=(), condition=1.0):
    """A case whose tensors are given as name -> (shape, scale, center)."""
    name = op + " " + shape_name
    make = {k: values(name, k, *v) for k, v in inputs.items()}
    own = {k: values(name, k, *v) for k, v in params.items()}
    return Case(name, op, attrs, make, own, run, buffers, condition)


def elementwise_cases():
    functions = dict(gelu=F.gelu, relu=F.relu, silu=F.silu, sigmoid=torch.sigmoid)
    for op, function in functions.items():
        for shape, scale in (((2, 3, 5, 7), 3.0), ((1, 61), 12.0)):
            text = "x".join(map(str, shape)) + "-scale%g" % scale
            yield simple(op, text, {}, dict(input=(shape, scale)), {},
                         lambda x, p, f=function: f(x["input"]))
    for points, shape, scale in ((9, (2, 3, 2, 18), 2.0), (8, (3, 24), 30.0), (1, (2, 5), 2.0)):
        def run(x, p, points=points):
            t = x["input"]
            return F.softmax(t.reshape(*t.shape[:-1], -1, points), -1).reshape(t.shape)
        yield simple("softmax", "%s-points%d-scale%g" % ("x".join(map(str, shape)), points, scale),
                     dict(points=points), dict(input=(shape, scale)), {}, run)


def norm_condition(channels, scale, center):
    """How much a relative error of the input grows: mean over standard deviation, which
    for a single channel is 1/sqrt(eps)."""
    return 1e3 if channels == 1 else max(1.0, abs(center) * math.sqrt(3) / scale)


def norm_cases():
    for rows, channels, scale, center in ((6, 13, 2.0, 0.0), (4, 64, 0.01, 3.0), (3, 1, 1.0, 0.0),
                                          (2, 512, 5.0, -2.0)):
        def run(x, p, channels=channels):
            return F.layer_norm(x["input"], (channels,), p["weight"], p["bias"], 1e-6)
        yield simple("layer_norm", "r%dc%d-scale%g-mean%g" % (rows, channels, scale, center), {},
                     dict(input=((rows, channels), scale, center)),
                     dict(weight=((channels,), 0.5, 1.0), bias=((channels,),)), run,
                     condition=norm_condition(channels, scale, center))
    for shape in ((2, 3, 5, 7), (1, 4, 4, 16)):
        c = shape[3]
        yield simple("batch_norm", "x".join(map(str, shape)), dict(eps=1e-5),
                     dict(input=(shape, 2.0)),
                     dict(weight=((c,), 0.5, 1.0), bias=((c,),), running_mean=((c,),),
                          running_var=((c,), 0.5, 1.0)),
                     lambda x, p: nhwc(F.batch_norm(nchw(x["input"]), p["running_mean"],
                                                    p["running_var"], p["weight"], p["bias"],
                                                    False, 0.1, 1e-5)),
                     buffers=("running_mean", "running_var"))
    for rows, channels in ((6, 13), (2, 64)):
        yield simple("layer_scale", "r%dc%d" % (rows, channels), {},
                     dict(input=((rows, channels), 2.0)), dict(weight=((channels,),)),
                     lambda x, p: x["input"] * p["weight"])


def attend(x, heads):
    q, k, v = x["query"], x["key"], x["value"]
    n, tokens, dim = k.shape
    q = q.reshape(n, 1, heads, -1).transpose(1, 2) * (dim // heads) ** -0.5
    k, v = (t.reshape(n, tokens, heads, -1).transpose(1, 2) for t in (k, v))
    return (F.softmax(q @ k.transpose(2, 3), -1) @ v).transpose(1, 2).reshape(n, dim)


def other_cases():
    for rows, i, o, bias in ((7, 13, 5, 1), (3, 200, 31, 1), (5, 16, 9, 0), (1, 1, 1, 1)):
        params = dict(weight=((o, i),))
        if bias:
            params["bias"] = ((o,),)
        yield simple("linear", "r%di%do%d%s" % (rows, i, o, "" if bias else "-nobias"),
                     dict(out_channels=o, bias=bias), dict(input=((rows, i), 2.0)), params,
                     lambda x, p: F.linear(x["input"], p["weight"], p.get("bias")))
    yield simple("linear", "n2h3w4i6o5", dict(out_channels=5), dict(input=((2, 3, 4, 6), 2.0)),
                 dict(weight=((5, 6),), bias=((5,),)),
                 lambda x, p: F.linear(x["input"], p["weight"], p["bias"]))
    yield simple("add", "2x3x5x7", {}, dict(a=((2, 3, 5, 7),), b=((2, 3, 5, 7), 3.0)), {},
                 lambda x, p: x["a"] + x["b"])
    for shape in ((2, 3, 5, 7), (3, 1, 1, 4), (2, 11, 6)):
        yield simple("global_avg_pool", "x".join(map(str, shape)), {},
                     dict(input=(shape, 2.0, 0.5)), {},
                     lambda x, p: x["input"].mean(tuple(range(1, x["input"].dim() - 1))))
    for factor, shape in ((2, (2, 3, 4, 12)), (3, (1, 2, 3, 18))):
        yield simple("pixel_shuffle", "%s-factor%d" % ("x".join(map(str, shape)), factor),
                     dict(factor=factor), dict(input=(shape,)), {},
                     lambda x, p, f=factor: nhwc(F.pixel_shuffle(nchw(x["input"]), f)))
    for n, tokens, dim, heads in ((2, 7, 12, 3), (1, 1, 8, 2), (3, 20, 16, 1)):
        yield simple("attention_pool", "n%dt%dd%dh%d" % (n, tokens, dim, heads), dict(heads=heads),
                     dict(query=((n, dim), 2.0), key=((n, tokens, dim), 2.0),
                          value=((n, tokens, dim), 2.0)), {},
                     lambda x, p, heads=heads: attend(x, heads))
    for groups, channels in ((2, 6), (4, 4)):
        def run(x, p, each=channels // groups):
            s = x["scale"].repeat_interleave(each, -1)
            return x["core"] * (1 - s) + x["value"] * s
        yield simple("center_feature_scale", "n2h3w4g%dc%d" % (groups, channels // groups),
                     dict(groups=groups),
                     dict(core=((2, 3, 4, channels), 2.0), value=((2, 3, 4, channels), 2.0),
                          scale=((2, 3, 4, groups), 0.5, 0.5)), {}, run)
    yield simple("to_nhwc", "n2c3h4w5", {}, dict(input=((2, 3, 4, 5),)), {},
                 lambda x, p: nhwc(x["input"]))
    yield simple("to_nchw", "n2h4w5c3", {}, dict(input=((2, 4, 5, 3),)), {},
                 lambda x, p: nchw(x["input"]))


def conv_cases():
    k3, one = (3, 3), (1, 1)
    yield conv2d_case(2, 9, 7, 3, 8, k3, (2, 2), one)
    yield conv2d_case(1, 6, 8, 6, 4, (3, 5), (1, 2), (1, 2), (1, 2), groups=2)
    yield conv2d_case(2, 5, 4, 7, 9, (1, 1), bias=False)
    yield conv2d_case(1, 8, 9, 5, 10, k3, (2, 2), one, bias=False)
    for kernel, pad in ((k3, one), ((5, 5), (2, 2)), ((3, 5), (1, 2))):
        yield conv2d_case(2, 7, 6, 13, 13, kernel, pad=pad, groups=13, depthwise=True)


def cases():
    for family in (dcnv3_cases, dcnv2_cases, conv_cases, elementwise_cases, norm_cases,
                   other_cases):
        yield from family()


# --- running and writing ------------------------------------------------------------

def run_case(case, dtype):
    """(output, gradients by name) in one precision."""
    def leaf(a, trained=True):
        return torch.from_numpy(a).to(dtype).requires_grad_(trained)
    x = {k: leaf(v) for k, v in case.inputs.items()}
    p = {k: leaf(v, k not in case.buffers) for k, v in case.params.items()}
    y = case.run(x, p)
    shape = tuple(y.shape)
    grad = seeded.uniform(case.name + "/grad_output", math.prod(shape), SEED).reshape(shape)
    (y * torch.from_numpy(grad).to(dtype)).sum().backward()
    gradients = {k: v.grad for k, v in {**x, **p}.items() if v.requires_grad}
    return y.detach(), gradients, grad


def write_case(f, case):
    group = f.create_group(case.name)
    group.attrs["op"] = np.bytes_(case.op)
    if case.condition != 1:
        group.attrs["condition"] = case.condition
    for name, value in case.attrs.items():
        group.attrs[name] = value
    for name, value in case.inputs.items():
        group["in/" + name] = value
    for name, value in case.params.items():
        group["param/" + name] = value
    for dtype in ("float64", "float32"):
        y, gradients, grad = run_case(case, getattr(torch, dtype))
        group[dtype + "/output"] = y.contiguous().numpy()
        for name, value in gradients.items():
            group["%s/grad/%s" % (dtype, name)] = value.contiguous().numpy()
    group["grad_output"] = grad


def relative_rms(x, truth):
    """||x - truth|| / ||truth||; the absolute error where the truth is all zero."""
    norm = float((truth ** 2).sum().sqrt())
    return float(((x - truth) ** 2).sum().sqrt()) / (norm or 1.0)


def grid_sample_losses():
    """What normalised coordinates cost at 56x56: relRMS with a float64 and a float32 grid."""
    case = dcnv3_case(1, 56, 56, 2, 8, (3, 3), pad=(1, 1))
    x = {k: torch.from_numpy(v).double() for k, v in case.inputs.items()}
    window = ((3, 3), (1, 1), (1, 1), (1, 1), 2)
    truth = dcn.dcnv3(x["input"], x["offset"], x["mask"], *window)
    return {str(dtype)[6:]: relative_rms(dcn.dcnv3_grid_sample(
        x["input"], x["offset"], x["mask"], *window, grid_dtype=dtype), truth)
        for dtype in (torch.float64, torch.float32)}


def write(out):
    path = os.path.join(out, "ops.h5")
    with golden.create(path + ".part", "ops") as f:
        for dtype, loss in grid_sample_losses().items():
            f.attrs["grid_sample.%s_grid_relrms" % dtype] = loss
        for case in cases():
            write_case(f, case)
    os.replace(path + ".part", path)
