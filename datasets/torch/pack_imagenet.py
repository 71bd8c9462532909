#!/usr/bin/env python3
"""Packs a folder of images into one HDF5 file that `internimage accuracy` reads.

usage: pack_imagenet.py FOLDER OUT.h5 [--size 224] [--limit N]

FOLDER is ImageNet's validation set as torchvision's ImageFolder wants it: one folder per
class, FOLDER/n01440764/ILSVRC2012_val_00000293.JPEG; classes are numbered in the order of
their folders' names. The preprocessing is that of the official evaluation (classification/
dataset/build.py): the shorter side is resized to the input size with PIL's bicubic filter
- the whole side, not 0.875 of it -, then the centre is cropped. Pixels stay bytes; the
reader scales them by 1/255 and normalises with mean .485 .456 .406, std .229 .224 .225.

Writes `images` [N, size, size, 3] and `labels` [N]. Needs Pillow, numpy, h5py.
"""
import argparse
import os
import sys

import h5py
import numpy as np
from PIL import Image


def listing(folder):
    """(path, label) of every image, in order."""
    classes = sorted(d.name for d in os.scandir(folder) if d.is_dir())
    if not classes:
        sys.exit("%s: there are no class folders in it" % folder)
    files = []
    for label, name in enumerate(classes):
        directory = os.path.join(folder, name)
        files += [(os.path.join(directory, f), label) for f in sorted(os.listdir(directory))]
    return files, classes


def preprocess(image, size):
    """torchvision's Resize(size, bicubic) and CenterCrop(size) on a PIL image."""
    width, height = image.size
    if width < height:
        shape = (size, int(size * height / width))
    else:
        shape = (int(size * width / height), size)
    image = image.resize(shape, Image.BICUBIC)
    left, top = round((shape[0] - size) / 2), round((shape[1] - size) / 2)
    return np.asarray(image.crop((left, top, left + size, top + size)))


def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("folder")
    p.add_argument("out")
    p.add_argument("--size", type=int, default=224)
    p.add_argument("--limit", type=int, help="every n-th image, so that so many remain")
    args = p.parse_args()
    files, classes = listing(args.folder)
    if args.limit and args.limit < len(files):
        files = files[::len(files) // args.limit][:args.limit]
    with h5py.File(args.out + ".part", "w", libver=("earliest", "v110")) as f:
        images = f.create_dataset("images", (len(files), args.size, args.size, 3), np.uint8)
        f.create_dataset("labels", data=np.array([label for _, label in files], np.int64))
        f.attrs["classes"] = len(classes)
        for i, (path, _) in enumerate(files):
            with Image.open(path) as image:
                images[i] = preprocess(image.convert("RGB"), args.size)
            if i % 100 == 99 or i + 1 == len(files):
                print("\r%d of %d images" % (i + 1, len(files)), end="", file=sys.stderr)
    print(file=sys.stderr)
    os.replace(args.out + ".part", args.out)


if __name__ == "__main__":
    main()
