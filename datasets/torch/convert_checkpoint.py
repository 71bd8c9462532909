"""Turns an InternImage checkpoint into the HDF5 weight file of docs/formats.md.

    python convert_checkpoint.py internimage_t_1k_224.pth -o internimage_t.h5

Reads .pth / .pt / .bin (torch) and .safetensors, with the key names of GitHub,
of detection and segmentation (`backbone.`) and of Hugging Face (`model.`,
`layer_scale1`), also nested under `model`, `state_dict`, `ema`... Says exactly which
keys were missing, unexpected or mis-shaped; upstream loads with strict=False and
says nothing. Exit code: 0 complete, 1 something missing or mis-shaped, 3 bad file.
"""
import argparse
import os
import sys

import h5py
import numpy as np
import torch

import golden
import internimage
import safetensors_file

NESTED = ("model_ema", "ema", "state_dict", "model", "module")
PREFIXES = ("module.", "model.", "backbone.", "encoder.")
BadFile = safetensors_file.BadFile


def load_torch(path):
    try:
        try:
            return torch.load(path, map_location="cpu", weights_only=True)
        except TypeError:               # torch < 1.13 does not know weights_only
            return torch.load(path, map_location="cpu")
    except Exception as e:              # torch raises whatever pickle and zip raise
        raise BadFile("%s: torch cannot load it: %s" % (path, str(e).split("\n")[0])) from None


def load(path, prefer_ema=False):
    """A flat dictionary key -> numpy array from any of the containers."""
    if not os.path.isfile(path):
        raise BadFile("%s: there is no such file" % path)
    if path.endswith(".safetensors"):
        return safetensors_file.read(path)
    found = load_torch(path)
    order = NESTED if prefer_ema else NESTED[2:] + NESTED[:2]
    for _ in range(4):                  # {'state_dict': {'module': {...}}} happens
        inner = [n for n in order if isinstance(found, dict) and isinstance(found.get(n), dict)]
        if not inner:
            break
        found = found[inner[0]]
    if not isinstance(found, dict) or not found:
        raise BadFile("%s: holds no dictionary of tensors" % path)
    return {k: v.float().numpy() if torch.is_tensor(v) and v.is_floating_point() else
            v.numpy() for k, v in found.items() if torch.is_tensor(v)}


def official_key(key):
    """The key of the official classification code."""
    changed = True
    while changed:
        changed = False
        for prefix in PREFIXES:
            if key.startswith(prefix):
                key, changed = key[len(prefix):], True
    key = key.replace(".layer_scale1", ".gamma1").replace(".layer_scale2", ".gamma2")
    return key.replace("fc_norm.weight", "fc_norm.0.weight").replace("fc_norm.bias",
                                                                     "fc_norm.0.bias")


def count_up(state, pattern):
    n = 0
    while any(k.startswith(pattern % n) for k in state):
        n += 1
    return n


def need(state, key):
    if key not in state:
        raise BadFile("this is no InternImage checkpoint: '%s' is missing" % key)
    return state[key].shape


def side_of(points):
    """(kernel size, remove_center) of a window with so many points; None if none fits."""
    for removed in (0, 1):
        side = int(round((points + removed) ** 0.5))
        if side % 2 == 1 and side * side == points + removed:
            return side, bool(removed)
    return None


def infer_window(state, channels, groups):
    """(groups of level 0, kernel size, remove_center): the mask has groups * points rows.
    Without a published variant to go by, the common group widths are tried."""
    masks = int(need(state, "levels.0.blocks.0.dcn.mask.weight")[0])
    tries = [groups] if groups else [channels // w for w in (16, 32, 8, 64, 4) if w <= channels]
    for g in tries:
        if g and masks % g == 0 and side_of(masks // g):
            return (g, *side_of(masks // g))
    raise BadFile("%d mask rows fit no window in %s groups" % (masks, tries))


def infer_config(state):
    """The architecture from keys and shapes. What leaves no trace in them - offset_scale,
    which blocks have a post norm - is taken from the published variant of this size."""
    channels = int(need(state, "patch_embed.conv2.weight")[0])
    first = "levels.0.blocks.0."
    depths = tuple(count_up(state, "levels.%d.blocks.%%d." % i) for i in range(4))

    def has(prefix):
        return any(k.startswith(prefix) for k in state)
    known = next((c for c in internimage.VARIANTS.values()
                  if c.channels == channels and tuple(c.depths) == depths), None)
    group, side, removed = infer_window(state, channels, known and known.groups[0])
    dw = int(need(state, first + "dcn.dw_conv.0.weight")[2])
    post_norms = count_up(state, "levels.2.post_norms.%d.")
    spacing = known.level2_post_norm if known else tuple(range(5, 6 * post_norms + 5, 6))
    clip = has("clip_projector.")
    return internimage.Config(
        channels=channels, depths=depths, groups=tuple(group << i for i in range(4)),
        mlp_ratio=int(need(state, first + "mlp.fc1.weight")[0]) / channels,
        kernel_size=side, dw_kernel_size=0 if dw == side else dw,
        offset_scale=known.offset_scale if known else 1.0,
        layer_scale=has(first + "gamma1"),
        post_norm=known.post_norm if known else not has("levels.0.norm.0."),
        res_post_norm=has(first + "res_post_norm1."),
        level2_post_norm=tuple(spacing[:post_norms]),
        center_feature_scale=has(first + "dcn.center_feature_scale_proj_weight"),
        remove_center=removed, clip_projector=clip,
        clip_dim=int(need(state, "dcnv3_head_x3.weight")[0]) if clip else 1024,
        clip_out=int(need(state, "fc_norm.0.weight")[0]) if clip else 768,
        num_classes=int(state["head.weight"].shape[0]) if "head.weight" in state else 1000)


def expected_shapes(config):
    try:
        with torch.device("meta"):
            model = internimage.InternImage(config)
    except (AttributeError, TypeError): # torch < 2.0
        model = internimage.InternImage(config)
    return {k: tuple(v.shape) for k, v in model.state_dict().items()
            if not k.endswith("num_batches_tracked")}


def compare(state, shapes):
    """(missing, unexpected, mis-shaped) keys."""
    missing = [k for k in shapes if k not in state]
    extra = [k for k in state if k not in shapes and not k.endswith("num_batches_tracked")]
    wrong = [(k, state[k].shape, shapes[k]) for k in shapes
             if k in state and tuple(state[k].shape) != shapes[k]]
    return missing, extra, wrong


def write(path, state, shapes, config):
    with h5py.File(path + ".part", "w", libver=("v108", "v108")) as f:
        f.attrs["format"] = "internimage-weights"
        f.attrs["version"] = golden.VERSION
        golden.write_config(f, config)
        for key, shape in shapes.items():
            if key in state and tuple(state[key].shape) == shape:
                f.create_dataset(key, data=np.asarray(state[key], np.float32))
    os.replace(path + ".part", path)


def report(missing, extra, wrong, out=sys.stderr):
    for title, keys in (("missing", missing), ("unexpected", extra)):
        for key in keys:
            print("%s: %s" % (title, key), file=out)
    for key, have, want in wrong:
        print("mis-shaped: %s is %s, expected %s" % (key, tuple(have), want), file=out)
    print("%d missing, %d unexpected, %d mis-shaped" % (len(missing), len(extra), len(wrong)),
          file=out)


def convert(path, output, variant=None, prefer_ema=False, allow_missing=False):
    state = {official_key(k): v for k, v in load(path, prefer_ema).items()}
    config = internimage.VARIANTS[variant] if variant else infer_config(state)
    shapes = expected_shapes(config)
    missing, extra, wrong = compare(state, shapes)
    report(missing, extra, wrong)
    if (missing or wrong) and not allow_missing:
        print("%s was not written (--allow-missing writes what is there)" % output,
              file=sys.stderr)
        return 1
    write(output, state, shapes, config)
    return 1 if missing or wrong else 0


def main(argv=None):
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("checkpoint")
    p.add_argument("-o", "--output", required=True)
    p.add_argument("--variant", choices=sorted(internimage.VARIANTS),
                   help="instead of inferring the architecture")
    p.add_argument("--ema", action="store_true", help="prefer averaged weights if there are any")
    p.add_argument("--allow-missing", action="store_true")
    args = p.parse_args(argv)
    try:
        return convert(args.checkpoint, args.output, args.variant, args.ema, args.allow_missing)
    except BadFile as e:
        print("convert_checkpoint.py: %s" % e, file=sys.stderr)
        return 3


if __name__ == "__main__":
    sys.exit(main())
