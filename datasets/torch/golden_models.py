"""The golden files of whole models."""
import os
import sys

import torch

import dump
import golden
import internimage
import seeded

SEED = 1
PHOTO = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "photo",
                     "astronaut_224.ppm")

# Larger tensors are sampled, to keep the committed files small.
PICO_LIMIT, SAMPLED = 1024, 64

PICO_SIZES = {"pico": (2, 64, 48), "pico_s": (2, 64, 48), "pico_h": (2, 64, 96),
              "pico_g": (1, 32, 64)}


def say(text):
    print(text, file=sys.stderr, flush=True)


def synthetic(batch, height, width):
    values = 2 * seeded.uniform("input", batch * 3 * height * width, SEED)
    return values.reshape(batch, 3, height, width)


def pico(out, names=tuple(PICO_SIZES)):
    """Small models: every activation and every gradient."""
    for name in names:
        model = internimage.build(name)
        seeded.fill(model, SEED)
        x = synthetic(*PICO_SIZES[name])
        classes = model.config.num_classes
        grad = seeded.uniform("grad_output", len(x) * classes, SEED).reshape(len(x), classes)
        dump.dump(model, x, os.path.join(out, name + ".h5"), name, model.config, SEED,
                  grad_output=torch.from_numpy(grad), limit=PICO_LIMIT, progress=say)


def photograph(out, variant, size=224):
    """A published variant on the photograph: every activation, sampled."""
    image = golden.read_ppm(PHOTO)
    top, left = (image.shape[0] - size) // 2, (image.shape[1] - size) // 2
    x = golden.normalise(image[top:top + size, left:left + size])
    model = internimage.build(variant)
    seeded.fill(model, SEED)
    path = os.path.join(out, "%s_%d.h5" % (variant, size))
    dump.dump(model, x, path, "internimage_%s@%d" % (variant, size), model.config, SEED,
              limit=SAMPLED, progress=say)


def full(out):
    """What is too large to commit: the other variants."""
    for variant in ("s", "b", "l", "xl"):
        photograph(out, variant)
    photograph(out, "h", 64)
