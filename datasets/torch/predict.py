#!/usr/bin/env python3
"""PyTorch's predictions of a weight file, for `internimage accuracy --against`.

usage: predict.py WEIGHTS.h5 DATA OUT.txt [--data-dir DIR] [--limit N] [--size N]

DATA is fashion-mnist, cifar10 (their test images) or a pack (pack_imagenet.py). Writes
`index label`, then the five best classes, one image per line.
"""
import argparse
import gzip
import os

import h5py
import numpy as np
import torch

import internimage

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def idx(path):
    with gzip.open(path) as f:
        data = f.read()
    shape = [int.from_bytes(data[4 + 4 * i:8 + 4 * i], "big") for i in range(data[3])]
    return np.frombuffer(data, np.uint8, offset=4 + 4 * len(shape)).reshape(shape)


def read(what, directory):
    """uint8 images [N, C, H, W], labels, mean and deviation."""
    if what == "fashion-mnist":
        where = directory or "/usr/share/datasets/fashion-mnist"
        images = idx(os.path.join(where, "t10k-images-idx3-ubyte.gz"))[:, None]
        labels = idx(os.path.join(where, "t10k-labels-idx1-ubyte.gz"))
        return np.repeat(images, 3, 1), labels, (0.2860,) * 3, (0.3530,) * 3
    if what == "cifar10":
        raw = np.fromfile(os.path.join(directory or "cifar-10-batches-bin", "test_batch.bin"),
                          np.uint8).reshape(-1, 3073)
        return (raw[:, 1:].reshape(-1, 3, 32, 32), raw[:, 0], (0.4914, 0.4822, 0.4465),
                (0.2470, 0.2435, 0.2616))
    f = h5py.File(what, "r")
    images = next(f[n] for n in ("images", "imgs", "data", "x") if n in f)
    labels = next(f[n] for n in ("labels", "label", "targets", "y") if n in f)
    return (images, labels[:]) + IMAGENET


def load(path):
    """The model of a weight file, and the image size it was trained on."""
    with h5py.File(path) as f:
        given = {k[len("config."):]: v for k, v in f.attrs.items() if k.startswith("config.")}
        size = int(given.pop("image_size", 0))
        known = internimage.Config.__dataclass_fields__
        config = internimage.Config(**{
            k: tuple(int(x) for x in np.atleast_1d(v)) if np.ndim(v) else v.item()
            for k, v in given.items() if k in known})
        model = internimage.build(config)
        state = model.state_dict()
        for key in state:
            if not key.endswith("num_batches_tracked"):
                state[key] = torch.from_numpy(f[key][:].astype(np.float32))
        model.load_state_dict(state)
    return model, size


def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("weights")
    p.add_argument("data")
    p.add_argument("out")
    p.add_argument("--data-dir")
    p.add_argument("--limit", type=int)
    p.add_argument("--size", type=int)
    args = p.parse_args()
    images, labels, mean, deviation = read(args.data, args.data_dir)
    model, size = load(args.weights)
    size = args.size or size
    mean, deviation = (torch.tensor(v).view(1, 3, 1, 1) for v in (mean, deviation))
    count = min(len(images), args.limit or len(images))
    with open(args.out, "w") as out, torch.no_grad():
        for at in range(0, count, 50):
            batch = np.asarray(images[at:min(at + 50, count)])
            if batch.shape[1] != 3:
                batch = batch.transpose(0, 3, 1, 2)
            x = torch.from_numpy(batch.astype(np.float32))
            if size and size != x.shape[2]:
                x = torch.nn.functional.interpolate(x, (size, size), mode="bilinear",
                                                    align_corners=False)
            best = model((x / 255 - mean) / deviation).topk(5).indices
            for i, row in enumerate(best.tolist()):
                out.write("%d %d %s\n" % (at + i, labels[at + i], " ".join(map(str, row))))


if __name__ == "__main__":
    main()
