"""Other ways to run InternImage on a CPU, timed beside ours in one run.

    python verify/rivals.py --program build/internimage --out results/rivals.json

Same model, same seeded weights, same input; every rival's logits are compared with the
PyTorch reference before it is timed. DCNv3 runs through grid_sample, the only way these
have. Repeats are interleaved: each round times every rival once, so all see the same
machine. One rival failing is said and skipped, not an error. `--only NAME,...` picks some.
"""
import argparse
import json
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "datasets", "torch"))

import numpy as np                                              # noqa: E402
import torch                                                    # noqa: E402

import dcn                                                      # noqa: E402
import internimage                                              # noqa: E402
import seeded                                                   # noqa: E402


def say(text):
    print(text, file=sys.stderr, flush=True)


def make_model(name):
    """Our PyTorch model, its operator replaced by the grid_sample form."""
    dcn.dcnv3 = dcn.dcnv3_grid_sample
    model = internimage.build(name)
    seeded.fill(model, 1)
    return model


# Each rival: prepare(model, x, threads) returns a function that runs once and gives logits.

def torch_eager(model, x, threads):
    torch.set_num_threads(threads)

    def run():
        with torch.no_grad():
            return model(x).numpy()
    return run


def torch_compile(model, x, threads):
    torch.set_num_threads(threads)
    compiled = torch.compile(model)

    def run():
        with torch.no_grad():
            return compiled(x).numpy()
    run()
    return run


def export_onnx(model, x):
    path = "/".join([os.environ.get("TMPDIR", "."), "rival.onnx"])
    if not os.path.exists(path):
        say("exporting ONNX")
        torch.onnx.export(model, (x,), path, opset_version=20, dynamo=False,
                          input_names=["x"], output_names=["y"])
    return path


def onnxruntime(model, x, threads):
    import onnxruntime as ort
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = ort.InferenceSession(export_onnx(model, x), options,
                                   providers=["CPUExecutionProvider"])
    feed = {"x": x.numpy()}
    return lambda: session.run(None, feed)[0]


def openvino(model, x, threads):
    import openvino as ov
    core = ov.Core()
    compiled = core.compile_model(core.read_model(export_onnx(model, x)), "CPU", {
        "INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "LATENCY"})
    request = compiled.create_infer_request()
    feed = {0: x.numpy()}
    return lambda: request.infer(feed)[compiled.output(0)]


RIVALS = {"PyTorch eager": torch_eager, "PyTorch compile": torch_compile,
          "ONNX Runtime": onnxruntime, "OpenVINO": openvino}


# Single DCNv2 layers (channels, size, offset groups), the shapes of `bench --filter dcnv2`.
LAYERS = [(64, 128, 1), (128, 64, 1), (256, 56, 1), (256, 14, 1), (512, 7, 1),
          (64, 128, 8), (128, 64, 8), (256, 56, 8), (256, 14, 8), (512, 7, 8)]


def layer_case(channels, size, groups):
    """Float32 input, offset within +-2 px, mask, weight, bias of one layer."""
    def u(name, *shape):
        return seeded.uniform(name, int(np.prod(shape)), 1).reshape(shape)
    return (u("input", 1, channels, size, size), 2 * u("offset", 1, 18 * groups, size, size),
            u("mask", 1, 9 * groups, size, size), u("w", channels, channels, 3, 3),
            u("b", channels))


def deform_conv_model(case, groups):
    import onnx
    from onnx import TensorProto, helper, numpy_helper
    x, offset, mask, w, b = case
    node = helper.make_node("DeformConv", ["x", "w", "offset", "b", "mask"], ["y"],
                            kernel_shape=[3, 3], pads=[1, 1, 1, 1], offset_group=groups)
    inputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, v.shape)
              for n, v in (("x", x), ("offset", offset), ("mask", mask))]
    graph = helper.make_graph([node], "layer", inputs, [helper.make_tensor_value_info(
        "y", TensorProto.FLOAT, x.shape)], [numpy_helper.from_array(w, "w"),
                                            numpy_helper.from_array(b, "b")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10)


def ort_layer(case, groups, threads):
    import onnxruntime as ort
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(deform_conv_model(case, groups).SerializeToString(), options,
                                   providers=["CPUExecutionProvider"])
    feed = {"x": case[0], "offset": case[1], "mask": case[2]}
    return lambda: session.run(None, feed)[0]


def openvino_layer(case, groups, threads):
    import openvino as ov
    core = ov.Core()
    model = core.read_model(deform_conv_model(case, groups).SerializeToString())
    compiled = core.compile_model(model, "CPU", {
        "INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"})
    request = compiled.create_infer_request()
    feed = {0: case[0], 1: case[1], 2: case[2]}
    return lambda: request.infer(feed)[compiled.output(0)]


NCNN_PARAM = """7767517
4 4
Input x 0 1 x
Input offset 0 1 offset
Input mask 0 1 mask
DeformableConv2D layer 3 1 x offset mask y 0=%d 1=3 11=3 2=1 12=1 3=1 13=1 4=1 14=1 5=1 6=%d
"""


def ncnn_layer(case, groups, threads):
    """ncnn's offsets have no groups."""
    import ncnn
    if groups != 1:
        raise ValueError("ncnn has no offset groups")
    x, offset, mask, w, b = case
    base = os.path.join(os.environ.get("TMPDIR", "."), "rival_ncnn")
    with open(base + ".param", "w") as f:
        f.write(NCNN_PARAM % (len(b), w.size))
    with open(base + ".bin", "wb") as f:        # a zero tag says float32
        f.write(b"\0\0\0\0" + w.astype(np.float32).tobytes() + b.astype(np.float32).tobytes())
    net = ncnn.Net()
    net.opt.num_threads = threads
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    net.opt.use_bf16_storage = False
    if net.load_param(base + ".param") or net.load_model(base + ".bin"):
        raise ValueError("ncnn did not load the layer")
    feeds = [ncnn.Mat(np.ascontiguousarray(v[0])) for v in (x, offset, mask)]

    def run():
        ex = net.create_extractor()
        for name, mat in zip(("x", "offset", "mask"), feeds):
            ex.input(name, mat)
        status, out = ex.extract("y")
        if status:
            raise ValueError("ncnn stopped with %d" % status)
        return np.array(out)[None]
    return run


# torchvision does not fit every torch; a distribution's python3 may have a pair that does.
TORCHVISION = """
import sys, numpy as np, torch, torchvision
x, offset, mask, w, b = (torch.from_numpy(v) for v in np.load(sys.argv[1]).values())
torch.set_num_threads(int(sys.argv[2]))
for line in sys.stdin:
    y = torchvision.ops.deform_conv2d(x, offset, w, b, padding=1, mask=mask).numpy()
    if line.strip():
        np.save(line.strip(), y)
    print("done", flush=True)
"""


def torchvision_layer(case, groups, threads):
    try:
        import torchvision
        torch.set_num_threads(threads)
        x, offset, mask, w, b = (torch.from_numpy(v) for v in case)
        return lambda: torchvision.ops.deform_conv2d(x, offset, w, b, padding=1,
                                                     mask=mask).numpy()
    except ImportError:
        return torchvision_elsewhere(case, threads)


def torchvision_elsewhere(case, threads):
    base = os.path.join(os.environ.get("TMPDIR", "."), "rival_torchvision")
    np.savez(base + ".npz", *case)
    child = subprocess.Popen(["/usr/bin/python3", "-c", TORCHVISION, base + ".npz", str(threads)],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL, text=True)

    def ask(line):
        child.stdin.write(line + "\n")
        child.stdin.flush()
        if not child.stdout.readline():
            raise ValueError("no torchvision in this environment or in the system's python3")
    ask(base + ".npy")
    first = np.load(base + ".npy")

    def run():
        ask("")
        return first
    return run


LAYER_RIVALS = {"ONNX Runtime": ort_layer, "OpenVINO": openvino_layer, "ncnn": ncnn_layer,
                "torchvision": torchvision_layer}


def time_layers(program, threads, rounds):
    """Our layers from one `bench` run before and one after the rivals'."""
    def bench():
        out = subprocess.run([program, "bench", "--json", "--filter", "dcnv2", "--threads",
                              str(threads), "--seconds", "0.5"], check=True,
                             capture_output=True, text=True).stdout
        return json.loads(out)["benchmarks"]
    first, results = bench(), []
    for layer in LAYERS:
        case = layer_case(*layer)
        truth = dcn.dcnv2(*(torch.from_numpy(v).double() for v in case), (1, 1), (1, 1), (1, 1),
                          1, layer[2]).numpy()
        for name, prepare_one in LAYER_RIVALS.items():
            try:
                run = prepare_one(case, layer[2], threads)
                error = float(np.sqrt(((run() - truth) ** 2).sum() / (truth ** 2).sum()))
                if not error < 1e-4:
                    raise ValueError("its result is off by %.1e" % error)
                times = time_all({name: (run, error)}, rounds, threads)[name]
                results.append(dict(layer=layer, rival=name, threads=threads, error=error,
                                    median_ms=float(np.median(times)), min_ms=min(times)))
            except Exception as e:      # whatever a rival raises, the others still count
                say("SKIPPED %s %s: %s" % (name, layer, str(e).split("\n")[0][:120]))
    second = bench()
    print("\nDCNv2 layers, %d thread(s): median ms" % threads)
    for i, layer in enumerate(LAYERS):
        mine = min(first[i]["real_time"], second[i]["real_time"])
        line = "  %d->%d %dx%d og%d: ours %.2f" % (layer[0], layer[0], layer[1], layer[1],
                                                   layer[2], mine)
        for r in results:
            if r["layer"] == layer:
                r["ours_ms"], r["ratio"] = mine, r["median_ms"] / mine
                line += ", %s %.2f (%.2fx)" % (r["rival"], r["median_ms"], r["ratio"])
        print(line)
    return results


def core_by_steps(value, offset, mask, groups):
    """A 3x3 DCNv3 in the steps of the official fallback: pad, locations normalised by the
    padded size, one grid_sample over all points, product with the mask, sum."""
    n, height, width, channels = value.shape
    value = torch.nn.functional.pad(value, [0, 0, 1, 1, 1, 1])
    h, w = height + 2, width + 2
    row, column = torch.meshgrid(torch.linspace(1.5, h - 1.5, height),
                                 torch.linspace(1.5, w - 1.5, width), indexing="ij")
    centre = torch.stack((column.reshape(-1) / w, row.reshape(-1) / h), -1)
    centre = centre.reshape(1, height, width, 1, 2)
    x, y = torch.meshgrid(torch.linspace(-1, 1, 3), torch.linspace(-1, 1, 3), indexing="ij")
    window = torch.stack([x / w, y / h], -1).reshape(-1, 1, 2).repeat(1, groups, 1)
    window = window.permute(1, 0, 2).reshape(1, 1, 1, groups * 9, 2)
    size = torch.tensor([w, h]).reshape(1, 1, 1, -1).repeat(1, 1, 1, groups * 9)
    at = (centre + window).repeat(n, 1, 1, 1, 1).flatten(3, 4) + offset / size
    image = value.view(n, h * w, channels).transpose(1, 2).reshape(n * groups, -1, h, w)
    grid = (2 * at - 1).view(n, height * width, groups, 9, 2).transpose(1, 2).flatten(0, 1)
    sampled = torch.nn.functional.grid_sample(image, grid, mode="bilinear",
                                              padding_mode="zeros", align_corners=False)
    mask = mask.view(n, height * width, groups, 9).transpose(1, 2)
    out = (sampled * mask.reshape(n * groups, 1, height * width, 9)).sum(-1)
    return out.view(n, channels, height * width).transpose(1, 2).reshape(
        n, height, width, channels).contiguous()


def time_cores(program, threads, rounds):
    """The 30 DCNv3 operators of InternImage-T, by grid_sample and ours."""
    torch.set_num_threads(threads)
    profile = subprocess.run([program, "bench", "--profile", "--batch", "1", "--threads",
                              str(threads), "--seconds", "2"], check=True, capture_output=True,
                             text=True).stdout
    mine = next(float(line.split()[1]) for line in profile.splitlines()
                if line.startswith("softmax+dcnv3"))
    cases, window = [], ((3, 3), (1, 1), (1, 1), (1, 1))
    for size, groups, count in ((56, 4, 4), (28, 8, 4), (14, 16, 18), (7, 32, 4)):
        def u(name, *shape):
            return torch.from_numpy(seeded.uniform(name, int(np.prod(shape)), 1).reshape(shape))
        cases.append((count, groups, u("v", 1, size, size, 16 * groups),
                      u("o", 1, size, size, 18 * groups), u("m", 1, size, size, 9 * groups)))

    def run(core):
        with torch.no_grad():
            for count, groups, value, offset, mask in cases:
                for _ in range(count):
                    core(value, offset, torch.softmax(mask.view(-1, 9), -1).view(mask.shape),
                         groups)
        return np.zeros(1)

    def lean(value, offset, mask, groups):
        return dcn.dcnv3_grid_sample(value, offset, mask, *window, groups)
    for count, groups, value, offset, mask in cases:
        far = (lean(value, offset, mask, groups) - core_by_steps(value, offset, mask, groups)).abs()
        assert far.max() < 1e-3, "the two forms disagree by %g" % far.max()
    rivals = {"official steps": (lambda: run(core_by_steps), 0),
              "lean grid_sample": (lambda: run(lean), 0)}
    times, results = time_all(rivals, rounds, threads), []
    for name in rivals:
        median = float(np.median(times[name]))
        print("\n30 DCNv3 cores of T with their softmax, %d thread(s): ours %.2f ms, PyTorch, %s, "
              "%.1f ms (%.1fx)" % (threads, mine, name, median, median / mine))
        results.append(dict(rival="PyTorch, %s, 30 cores" % name, threads=threads,
                            median_ms=median, min_ms=min(times[name]), ours_ms=mine,
                            ratio=median / mine))
    return results


def time_train(program, threads, rounds):
    """Forward and backward with every gradient, PyTorch eager and ours."""
    results = []
    for name, size, batch in (("pico", 32, 32), ("t", 224, 2)):
        torch.set_num_threads(threads)
        model = make_model(name).train()
        x = torch.from_numpy(seeded.uniform("input", batch * 3 * size ** 2, 1)
                             .reshape(batch, 3, size, size)).requires_grad_(True)

        def run():
            model.zero_grad()
            model(x)[0, 0].backward()
            return np.zeros(1)
        run()
        median = float(np.median(time_all({name: (run, 0)}, max(3, rounds // 3), threads)[name]))
        out = subprocess.run([program, "bench", "--json", "--train", "--filter", name, "--size",
                              "%dx%d" % (size, size), "--batch", str(batch), "--threads",
                              str(threads), "--seconds", "2"], check=True, capture_output=True,
                             text=True).stdout
        mine = json.loads(out)["benchmarks"][0]["real_time"]
        print("\nforward + backward of %s at %d, batch %d, %d thread(s): ours %.1f ms, PyTorch "
              "eager %.1f ms (%.2fx)" % (name, size, batch, threads, mine, median, median / mine))
        results.append(dict(rival="PyTorch eager, training %s" % name, threads=threads,
                            median_ms=median, ours_ms=mine, ratio=median / mine))
    return results


def ours(program, name, threads, seconds, size):
    """Median and least milliseconds, share of peak, from `internimage bench`."""
    out = subprocess.run([program, "bench", "--json", "--filter", "internimage_" + name,
                          "--batch", "1", "--threads", str(threads), "--seconds", str(seconds),
                          "--size", "%dx%d" % (size, size)],
                         check=True, capture_output=True, text=True).stdout
    return json.loads(out)["benchmarks"][0]


def prepare(names, model, x, truth, threads):
    ready = {}
    for name in names:
        try:
            say("preparing %s with %d threads" % (name, threads))
            run = RIVALS[name](model, x, threads)
            error = float(np.sqrt(((run() - truth) ** 2).sum() / (truth ** 2).sum()))
            if not error < 1e-3:
                say("SKIPPED %s: its logits are off by %.1e" % (name, error))
                continue
            ready[name] = (run, error)
        except Exception as e:          # whatever a rival raises, the others still count
            say("SKIPPED %s: %s: %s" % (name, type(e).__name__, str(e).split("\n")[0][:160]))
    return ready


def time_all(ready, rounds, threads):
    times = {name: [] for name in ready}
    for _ in range(rounds):
        for name, (run, _) in ready.items():
            torch.set_num_threads(threads)
            start = time.perf_counter()
            run()
            times[name].append(1e3 * (time.perf_counter() - start))
    return times


def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--program", default="build/internimage")
    p.add_argument("--model", default="t")
    p.add_argument("--size", type=int, default=224)
    p.add_argument("--threads", default="1,2")
    p.add_argument("--rounds", type=int, default=15)
    p.add_argument("--only", help="comma-separated: %s" % ", ".join(RIVALS))
    p.add_argument("--what", default="model,cores,layers,train")
    p.add_argument("--out", help="JSON file for the results")
    args = p.parse_args()
    x = torch.from_numpy(seeded.uniform("input", 3 * args.size ** 2, 1)
                         .reshape(1, 3, args.size, args.size))
    model = make_model(args.model)
    with torch.no_grad():
        truth = model.double()(x.double()).numpy()
        model.float()
    results, what = [], args.what.split(",")
    for threads in (int(t) for t in args.threads.split(",")):
        if "cores" in what:
            results += time_cores(args.program, threads, args.rounds)
        if "train" in what:
            results += time_train(args.program, threads, args.rounds)
        if "layers" in what:
            results += time_layers(args.program, threads, args.rounds)
        if "model" not in what:
            continue
        ready = prepare(args.only.split(",") if args.only else RIVALS, model, x, truth, threads)
        first = ours(args.program, args.model, threads, 2, args.size)
        times = time_all(ready, args.rounds, threads)
        second = ours(args.program, args.model, threads, 2, args.size)
        mine = sorted([first["real_time"], second["real_time"]])
        print("\n%d thread(s): ours %.1f and %.1f ms before and after (%.0f %% of peak)" % (
            threads, first["real_time"], second["real_time"], 100 * second["share_of_peak"]))
        for name, values in times.items():
            median, least = float(np.median(values)), float(min(values))
            print("  %-16s median %7.1f ms  min %7.1f ms   we are %.2fx (median), %.2fx (its "
                  "min over our median); logits off by %.0e" % (
                      name, median, least, median / mine[1], least / mine[1], ready[name][1]))
            results.append(dict(rival=name, threads=threads, median_ms=median, min_ms=least,
                                ours_ms=mine, ratio=median / mine[1], error=ready[name][1]))
    if args.out:
        with open(args.out, "w") as f:
            json.dump(dict(model=args.model, size=args.size, torch=str(torch.__version__),
                           results=results), f, indent=1)


if __name__ == "__main__":
    main()
