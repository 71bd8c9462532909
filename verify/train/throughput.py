#!/usr/bin/env python3
"""Training throughput beside PyTorch's: the same model, batch and threads, in one run.

usage: throughput.py [--program build/internimage] [--data-dir DIR] [--out FILE.json]

A step is forward, loss with label smoothing, backward, clipping and AdamW. Ours is what
`internimage train` reports of its second epoch on some of Fashion-MNIST: that also loads,
crops, flips and scales the images; PyTorch is given one batch that is ready. Neither side's
first steps count. Its model is datasets/torch/internimage.py
with DCNv3 by grid_sample, the faster of the usual forms. The two take turns.
"""
import argparse
import json
import os
import subprocess
import sys
import time

import numpy as np
import torch

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "..", "..", "datasets", "torch"))
import dcn                              # noqa: E402
import internimage                      # noqa: E402

CASES = ((28, "Fashion-MNIST as it is"), (48, "scaled to 48, as the shipped weights"))


def torch_training(size, batch):
    """A function that does one step."""
    dcn.dcnv3 = dcn.dcnv3_grid_sample
    model = internimage.build("pico").train()
    groups = [{"params": [p for p in model.parameters() if p.dim() > 1], "weight_decay": 0.05},
              {"params": [p for p in model.parameters() if p.dim() == 1], "weight_decay": 0.0}]
    adamw = torch.optim.AdamW(groups, lr=2e-3)
    x, label = torch.randn(batch, 3, size, size), torch.randint(0, 10, (batch,))

    def step():
        adamw.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x), label, label_smoothing=0.1)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        adamw.step()
    return step


def ours(args, size, threads, steps):
    """Images per second of the second epoch, so many steps, of `internimage train`."""
    command = [args.program, "train", "--data", "fashion-mnist", "--model", "pico", "--batch",
               str(args.batch), "--threads", str(threads), "--epochs", "2",
               "--limit", str(args.batch * steps)]
    command += ["--size", str(size)] if size != 28 else []
    command += ["--data-dir", args.data_dir] if args.data_dir else []
    log = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    first, second = [epoch["seconds"] for epoch in map(json.loads, log.splitlines())
                     if epoch["event"] == "epoch"]
    return args.batch * steps / (second - first)


def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--program", default="build/internimage")
    p.add_argument("--data-dir")
    p.add_argument("--batch", type=int, default=64)
    p.add_argument("--threads", default="1,2")
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--steps", type=int, default=30)
    p.add_argument("--out")
    args = p.parse_args()
    results = []
    for threads in (int(t) for t in args.threads.split(",")):
        for size, what in CASES:
            torch.set_num_threads(threads)
            step, mine, theirs = torch_training(size, args.batch), [], []
            step()
            for _ in range(args.rounds):
                mine.append(ours(args, size, threads, args.steps))
                start = time.perf_counter()
                for _ in range(args.steps // 4):
                    step()
                theirs.append(args.batch * (args.steps // 4) / (time.perf_counter() - start))
            a, b = float(np.median(mine)), float(np.median(theirs))
            print("pico, %s, batch %d, %d thread(s): ours %.0f images/s, PyTorch %.0f (%.2fx)"
                  % (what, args.batch, threads, a, b, a / b), flush=True)
            results.append(dict(model="pico", size=size, batch=args.batch, threads=threads,
                                ours=a, torch=b, ratio=a / b, ours_all=mine, torch_all=theirs))
    if args.out:
        with open(args.out, "w") as f:
            json.dump(dict(torch=str(torch.__version__), unit="images per second",
                           results=results), f, indent=1)


if __name__ == "__main__":
    main()
