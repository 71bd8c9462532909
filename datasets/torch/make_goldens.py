"""Makes the golden files: all of them, or --only some."""
import argparse
import os

import torch

import golden_models
import golden_ops


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--out", default=".", help="directory for the .h5 files")
    p.add_argument("--only", default="ops,pico,t",
                   help="comma-separated: ops, pico, t (default all three), or full: "
                        "S, B, L, XL at 224 and H at 64x64, sampled")
    args = p.parse_args()
    makers = {
        "ops": golden_ops.write,
        "pico": golden_models.pico,
        "t": lambda out: golden_models.photograph(out, "t"),
        "full": golden_models.full,
    }
    wanted = args.only.split(",")
    for name in wanted:
        if name not in makers:
            p.error("--only: there is no '%s', only %s" % (name, " ".join(makers)))
    os.makedirs(args.out, exist_ok=True)
    torch.set_num_threads(os.cpu_count() or 1)
    for name in wanted:
        golden_models.say("making %s" % name)
        makers[name](args.out)


if __name__ == "__main__":
    main()
