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


def ours(program, name, threads, seconds, size):
    """Median and least milliseconds, share of peak, from `internimage bench`."""
    out = subprocess.run([program, "bench", "--json", "--filter", name, "--batch", "1",
                          "--threads", str(threads), "--seconds", str(seconds),
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
    p.add_argument("--out", help="JSON file for the results")
    args = p.parse_args()
    x = torch.from_numpy(seeded.uniform("input", 3 * args.size ** 2, 1)
                         .reshape(1, 3, args.size, args.size))
    model = make_model(args.model)
    with torch.no_grad():
        truth = model.double()(x.double()).numpy()
        model.float()
    results = []
    for threads in (int(t) for t in args.threads.split(",")):
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
