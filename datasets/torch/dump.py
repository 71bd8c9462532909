"""Dumps what a PyTorch model computes, layer by layer, to a golden HDF5 file.

Works on any nn.Module: ours by name, or one of your own through a factory:

    python dump.py --model internimage_t --image photo.ppm -o t.h5
    python dump.py --module my_port.py:make_model --size 224x224 --params -o mine.h5

The factory takes no arguments and returns the module. For a DCNv3 layer of the
official code the softmaxed mask and the operator's result, which are no module's
output there, are caught as well. The format is in docs/formats.md.
"""
import argparse
import contextlib
import importlib.util
import os
import sys

import torch
import torch.nn as nn

import golden
import internimage
import seeded

LAYOUT_CHANGES = ("ToNHWC", "ToNCHW", "to_channels_first", "to_channels_last")
CHANNELS_FIRST = (nn.Conv2d, nn.BatchNorm2d, nn.PixelShuffle, nn.MaxPool2d, nn.AvgPool2d)
CHANNELS_LAST = (nn.Linear, nn.LayerNorm)


class Recorder:
    """Collects the first output of every module, by path, with its layout."""

    def __init__(self, default_layout="NHWC"):
        self.values = {}                # path -> (tensor, layout)
        self.layout_of = {}             # id(tensor) -> layout; the tensors stay alive
        self.alive = []
        self.default = default_layout

    def remember(self, tensor, layout):
        self.layout_of[id(tensor)] = layout
        self.alive.append(tensor)

    def layout(self, module, inputs, output):
        if output.dim() != 4:
            return "flat"
        if getattr(module, "layout", None) in ("NCHW", "NHWC"):
            return module.layout
        if isinstance(module, CHANNELS_FIRST):
            return "NCHW"
        if isinstance(module, CHANNELS_LAST):
            return "NHWC"
        for x in inputs:                # elementwise: as its input
            if torch.is_tensor(x) and x.shape == output.shape and id(x) in self.layout_of:
                return self.layout_of[id(x)]
        return self.default

    def add(self, path, tensor, layout):
        if path not in self.values:
            self.values[path] = (tensor, layout)
        self.remember(tensor, layout)

    def hook(self, path):
        def record(module, inputs, output):
            if not torch.is_tensor(output):
                return
            change = type(module).__name__
            if change in LAYOUT_CHANGES:
                first = change in ("ToNCHW", "to_channels_first")
                self.remember(output, "NCHW" if first else "NHWC")
            elif id(output) not in self.layout_of:      # a container repeats its last child
                self.add(path, output, self.layout(module, inputs, output))
        return record


@contextlib.contextmanager
def functional_values(model, recorder):
    """Catches softmax and the DCNv3 operator inside official DCNv3 modules."""
    inside, undo = [], []
    plain_softmax = nn.functional.softmax

    def softmax(x, *args, **kwargs):
        y = plain_softmax(x, *args, **kwargs)
        if inside and y.dim() == 5:
            flat = y.reshape(*y.shape[:3], -1)
            recorder.add(inside[-1] + ".softmax", flat, "NHWC")
        return y

    def catching(core):
        def run(*args, **kwargs):
            y = core(*args, **kwargs)
            if inside:
                recorder.add(inside[-1] + ".core", y, "NHWC")
            return y
        return run

    def patch(owner, name, value):
        undo.append((owner, name, getattr(owner, name)))
        setattr(owner, name, value)

    handles, seen = [], set()
    for path, module in model.named_modules():
        if not type(module).__name__.startswith("DCNv3") or isinstance(module, internimage.DCNv3):
            continue
        handles.append(module.register_forward_pre_hook(lambda m, i, p=path: inside.append(p)))
        handles.append(module.register_forward_hook(lambda m, i, o: (inside.pop(), None)[1]))
        space = sys.modules.get(type(module).__module__)
        if space is None or space in seen:
            continue
        seen.add(space)
        if hasattr(space, "dcnv3_core_pytorch"):
            patch(space, "dcnv3_core_pytorch", catching(space.dcnv3_core_pytorch))
        if hasattr(space, "DCNv3Function"):
            function = space.DCNv3Function
            patch(space, "DCNv3Function", type("Caught", (), {
                "apply": staticmethod(catching(function.apply))}))
    if handles:
        patch(nn.functional, "softmax", softmax)
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
        for owner, name, value in undo:
            setattr(owner, name, value)


def record(model, x, grad_output=None, default_layout="NHWC"):
    """Runs the model; returns (recorder, output, gradients by key or None)."""
    recorder = Recorder(default_layout)
    handles = [m.register_forward_hook(recorder.hook(path))
               for path, m in model.named_modules() if path]
    gradients = None
    try:
        with functional_values(model, recorder), torch.set_grad_enabled(grad_output is not None):
            x = x.clone().requires_grad_(grad_output is not None)
            output = model(x)
            for name, module in model.named_modules():
                for key, value in getattr(module, "recorded", {}).items():
                    recorder.add("%s.%s" % (name, key), value, "flat")
            if grad_output is not None:
                model.zero_grad()
                (output * grad_output.to(output.dtype)).sum().backward()
                gradients = {k: p.grad for k, p in model.named_parameters() if p.grad is not None}
                gradients["input"] = x.grad
    finally:
        for handle in handles:
            handle.remove()
    return recorder, output, gradients


def dump(model, x, path, name, config, seed=None, dtypes=("float64", "float32"), params=False,
         grad_output=None, limit=None, default_layout="NHWC", progress=None):
    """Writes a golden file of `model` run on x (float32 array [N,3,H,W])."""
    part = path + ".part"
    with golden.create(part, "model") as f:
        f.attrs["model"] = name
        if seed is not None:
            f.attrs["seed"] = seed
        golden.write_config(f, config)
        golden.write_compressed(f, "input", x)
        if params:
            for key, value in model.state_dict().items():
                if not key.endswith("num_batches_tracked"):
                    f.create_dataset("params/" + key, data=value.float().cpu().numpy())
        if grad_output is not None:
            f.create_dataset("grad_output", data=grad_output.numpy())
        for dtype in dtypes:
            if progress:
                progress("%s: running in %s" % (name, dtype))
            model.to(getattr(torch, dtype))
            recorder, output, gradients = record(
                model, torch.from_numpy(x).to(getattr(torch, dtype)), grad_output, default_layout)
            group = f.create_group(dtype)
            for key, (tensor, layout) in recorder.values.items():
                golden.write_tensor(group, key, tensor, layout, limit)
            golden.write_tensor(group, "output", output, "flat", limit)
            for key, tensor in (gradients or {}).items():
                golden.write_tensor(group.require_group("grad"), key, tensor, "flat", limit)
    os.replace(part, path)


def load_factory(spec):
    """`file.py:function`, imported with its own directory on the path."""
    file, _, function = spec.rpartition(":")
    if not file:
        raise SystemExit("dump.py: --module needs FILE.py:FUNCTION, got '%s'" % spec)
    sys.path.insert(0, os.path.dirname(os.path.abspath(file)))
    module_spec = importlib.util.spec_from_file_location("dumped_model", file)
    if module_spec is None or not os.path.exists(file):
        raise SystemExit("dump.py: there is no file '%s'" % file)
    module = importlib.util.module_from_spec(module_spec)
    module_spec.loader.exec_module(module)
    return getattr(module, function)()


def make_input(args):
    if args.image:
        return golden.normalise(golden.read_ppm(args.image))
    height, width = (int(v) for v in args.size.split("x"))
    count = args.batch * 3 * height * width
    values = 2 * seeded.uniform("input", count, args.seed)
    return values.reshape(args.batch, 3, height, width)


def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--model", help="one of ours: %s" % " ".join(
        list(internimage.VARIANTS) + list(internimage.PICOS)))
    p.add_argument("--module", help="FILE.py:FACTORY of your own nn.Module")
    p.add_argument("--image", help="8-bit PPM; otherwise a seeded input of --batch and --size")
    p.add_argument("--size", default="224x224")
    p.add_argument("--batch", type=int, default=1)
    p.add_argument("--seed", type=int, default=1, help="of the parameters and the input")
    p.add_argument("--keep-weights", action="store_true",
                   help="do not replace --module's weights by seeded ones; implies --params")
    p.add_argument("--params", action="store_true", help="store the parameters in the file")
    p.add_argument("--gradients", action="store_true")
    p.add_argument("--dtypes", default="float64,float32")
    p.add_argument("--limit", type=int, help="sample tensors larger than this")
    p.add_argument("--layout", default="NHWC", choices=["NHWC", "NCHW"],
                   help="of 4-D outputs whose layout cannot be told")
    p.add_argument("-o", "--output", required=True)
    args = p.parse_args()
    if bool(args.model) == bool(args.module):
        p.error("give either --model or --module")
    model = internimage.build(args.model) if args.model else load_factory(args.module).eval()
    if not args.keep_weights:
        seeded.fill(model, args.seed)
    if args.model:
        config = model.config
    else:
        import convert_checkpoint
        config = convert_checkpoint.infer_config(model.state_dict())
    x = make_input(args)
    grad = None
    if args.gradients:
        count = x.shape[0] * config.num_classes
        grad = torch.from_numpy(seeded.uniform("grad_output", count, args.seed)
                                .reshape(x.shape[0], config.num_classes))
    dump(model, x, args.output, args.model or "custom", config, args.seed,
         args.dtypes.split(","), args.params or args.keep_weights, grad, args.limit, args.layout,
         lambda text: print(text, file=sys.stderr))


if __name__ == "__main__":
    main()
