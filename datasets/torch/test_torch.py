"""Tests of the PyTorch side. Run by `make check` where PyTorch is there."""
import json
import os
import tempfile
import unittest

import h5py
import numpy as np
import torch

import convert_checkpoint
import dcn
import dump
import golden_ops
import import_candle_dcnv2
import internimage
import seeded

try:
    import torchvision
except Exception:                       # absent, or built for another torch
    torchvision = None


def meta_model(config):
    try:
        with torch.device("meta"):
            return internimage.InternImage(config)
    except (AttributeError, TypeError): # torch < 2.0
        return internimage.InternImage(config)


class Models(unittest.TestCase):
    def test_keys_and_parameters_are_the_official_ones(self):
        want = dict(t=(633, 29918424), s=(751, 50079880), b=(751, 97461832))
        if hasattr(torch, "device") and int(torch.__version__.split(".")[0]) >= 2:
            want.update(l=(839, 223334810), xl=(883, 334819780), h=(1357, 1089636760),
                        g=(1295, 3076373352))
        for name, (keys, parameters) in want.items():
            model = meta_model(internimage.VARIANTS[name])
            self.assertEqual(len(model.state_dict()), keys)
            self.assertEqual(sum(p.numel() for p in model.parameters()), parameters)

    def test_generator(self):
        self.assertEqual(seeded.fnv1a(""), 14695981039346656037)
        self.assertEqual(seeded.fnv1a("a"), 0xAF63DC4C8601EC8C)
        u = seeded.uniform("input", 100000, 1)
        self.assertTrue(-1 <= u.min() and u.max() < 1 and abs(u.mean()) < 0.01)


class Operators(unittest.TestCase):
    def both(self, run, case, names):
        """Output and gradients of two implementations on one case, float64."""
        results = []
        for function in run:
            x = {k: torch.from_numpy(v).double().requires_grad_(True)
                 for k, v in {**case.inputs, **case.params}.items()}
            y = function(x)
            weight = torch.from_numpy(seeded.uniform("g", y.numel(), 1)).double()
            (y * weight.reshape(y.shape)).sum().backward()
            results.append([y.detach()] + [x[n].grad for n in names])
        return results

    def assert_close(self, results, name):
        for a, b in zip(*results):
            self.assertLess(golden_ops.relative_rms(a, b), 1e-12, name)

    @unittest.skipIf(torchvision is None, "torchvision is not installed")
    def test_dcnv3_is_torchvisions_depthwise_dcnv2(self):
        for case in golden_ops.dcnv3_cases():
            a = case.attrs
            if a["remove_center"] or case.name.endswith(("far", "integer", "zero")):
                continue                # torchvision has no such option; one-sided gradients
            w = [(a[n + "_h"], a[n + "_w"]) for n in ("kernel", "stride", "pad", "dilation")]
            args = (*w, a["groups"], a["offset_scale"])
            self.assert_close(self.both(
                [lambda x: dcn.dcnv3(x["input"], x["offset"], x["mask"], *args),
                 lambda x: dcn.dcnv3_torchvision(x["input"], x["offset"], x["mask"], *args)],
                case, ("input", "offset", "mask")), case.name)

    @unittest.skipIf(torchvision is None, "torchvision is not installed")
    def test_dcnv2_is_torchvisions(self):
        for case in golden_ops.dcnv2_cases():
            a = case.attrs
            if case.name.endswith(("far", "integer", "zero")):
                continue
            w = [(a[n + "_h"], a[n + "_w"]) for n in ("stride", "pad", "dilation")]

            def vision(x):
                return torchvision.ops.deform_conv2d(x["input"], x["offset"], x["weight"],
                                                     x.get("bias"), *w, x.get("mask"))
            names = [n for n in ("input", "offset", "mask", "weight", "bias")
                     if n in case.inputs or n in case.params]
            self.assert_close(self.both([lambda x: case.run(x, x), vision], case, names),
                              case.name)

    def test_normalised_coordinates_cost_what_the_golden_says(self):
        loss = golden_ops.grid_sample_losses()
        self.assertLess(loss["float64"], 1e-12)
        self.assertGreater(loss["float32"], 1e-7)


class Checkpoints(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.TemporaryDirectory()
        self.model = internimage.build("pico")
        seeded.fill(self.model, 1)
        self.state = self.model.state_dict()

    def tearDown(self):
        self.dir.cleanup()

    def path(self, name):
        return os.path.join(self.dir.name, name)

    def convert(self, name, *options):
        return convert_checkpoint.main([self.path(name), "-o", self.path("out.h5"), *options])

    def save_safetensors(self, name, state, spoil=lambda header: None):
        header, data = {}, b""
        for key, value in state.items():
            raw = value.float().numpy().tobytes()
            header[key] = dict(dtype="F32", shape=list(value.shape),
                               data_offsets=[len(data), len(data) + len(raw)])
            data += raw
        spoil(header)
        text = json.dumps(header).encode()
        with open(self.path(name), "wb") as f:
            f.write(len(text).to_bytes(8, "little") + text + data)

    def assert_written(self):
        with h5py.File(self.path("out.h5"), "r") as f:
            for key, value in self.state.items():
                if not key.endswith("num_batches_tracked"):
                    self.assertTrue(np.array_equal(f[key][()], value.numpy()), key)

    def test_containers_and_prefixes(self):
        hugging = {"model." + k.replace("gamma", "layer_scale"): v for k, v in self.state.items()}
        for name, content in (
                ("plain.pth", self.state), ("model.pth", {"model": self.state, "epoch": 3}),
                ("nested.pth", {"state_dict": {"module": self.state}}), ("hf.bin", hugging),
                ("ddp.pth", {"module." + k: v for k, v in self.state.items()}),
                ("det.pth", {"state_dict": {"backbone." + k: v for k, v in self.state.items()}})):
            torch.save(content, self.path(name))
            self.assertEqual(self.convert(name), 0, name)
            self.assert_written()
        self.save_safetensors("x.safetensors", hugging)
        self.assertEqual(self.convert("x.safetensors"), 0)
        self.assert_written()

    def test_incomplete_is_said_and_not_written(self):
        broken = dict(self.state)
        del broken["head.bias"]
        broken["levels.1.norm.0.weight"] = torch.zeros(3)
        broken["surprise"] = torch.zeros(1)
        torch.save(broken, self.path("broken.pth"))
        self.assertEqual(self.convert("broken.pth"), 1)
        self.assertFalse(os.path.exists(self.path("out.h5")))
        self.assertEqual(self.convert("broken.pth", "--allow-missing"), 1)
        self.assertTrue(os.path.exists(self.path("out.h5")))

    def test_bad_files(self):
        def entry(**changes):
            return lambda header: header["head.bias"].update(changes)
        for i, spoil in enumerate((entry(dtype="F7"), entry(shape=[-1]), entry(shape="x"),
                                   entry(data_offsets=[0, 1 << 60]), entry(data_offsets=[8, 4]),
                                   entry(shape=[1 << 40, 1 << 40]),
                                   lambda header: header.update(x=3))):
            self.save_safetensors("bad%d.safetensors" % i, self.state, spoil)
            self.assertEqual(self.convert("bad%d.safetensors" % i), 3)
        for name, content in (("cut.safetensors", b"\xff" * 8), ("empty.safetensors", b""),
                              ("text.pth", b"hello"), ("json.safetensors", b"\x02" + b"\0" * 7 + b"[]"),
                              ("none.pth", b"")):
            with open(self.path(name), "wb") as f:
                f.write(content)
            self.assertEqual(self.convert(name), 3, name)
        self.assertEqual(self.convert("absent.pth"), 3)
        torch.save([1, 2], self.path("list.pth"))
        self.assertEqual(self.convert("list.pth"), 3)
        torch.save({"a": torch.zeros(2)}, self.path("other.pth"))
        self.assertEqual(self.convert("other.pth"), 3)

    def test_dump_of_a_foreign_module(self):
        factory = self.path("port.py")
        with open(factory, "w") as f:
            f.write("import internimage\ndef make():\n    return internimage.build('pico')\n")
        model = dump.load_factory(factory + ":make")
        seeded.fill(model, 1)
        x = seeded.uniform("input", 3 * 64 * 64, 1).reshape(1, 3, 64, 64)
        config = convert_checkpoint.infer_config(model.state_dict())
        dump.dump(model.eval(), x, self.path("d.h5"), "port", config, 1, params=True)
        with h5py.File(self.path("d.h5"), "r") as f:
            self.assertIn("levels.2.blocks.1.dcn.core", f["float64"])
            self.assertEqual(f["float32/patch_embed.conv1"].attrs["layout"], b"NCHW")
            self.assertIn("head.weight", f["params"])



def write_safetensors(path, tensors):
    """As the safetensors library does: a header in JSON, then the values one after the other."""
    header, at = {}, 0
    for key, t in tensors.items():
        kind = "I64" if t.dtype == np.int64 else "F32"
        header[key] = {"dtype": kind, "shape": list(t.shape), "data_offsets": [at, at + t.nbytes]}
        at += t.nbytes
    text = json.dumps(header).encode()
    with open(path, "wb") as f:
        f.write(len(text).to_bytes(8, "little") + text)
        for t in tensors.values():
            f.write(np.ascontiguousarray(t).tobytes())


class Suites(unittest.TestCase):
    """Files laid out as candle-dcnv2's, with values of our own."""

    def case(self, kernel, stride, pad, dilation, masked=True, bias=True):
        draw = torch.Generator().manual_seed(3)
        x = torch.randn(2, 3, 9, 8, generator=draw)
        taps = kernel[0] * kernel[1]
        ho, wo = (dcn.out_size(x.shape[2 + i], kernel[i], stride[i], pad[i], dilation[i])
                  for i in (0, 1))
        t = {"input": x, "offset": torch.randn(2, 2 * taps, ho, wo, generator=draw),
             "weight": torch.randn(4, 3, *kernel, generator=draw)}
        if bias:
            t["bias"] = torch.randn(4, generator=draw)
        if masked:
            t["mask"] = torch.sigmoid(torch.randn(2, taps, ho, wo, generator=draw))
        t["output"] = dcn.dcnv2(x, t["offset"], t.get("mask"), t["weight"], t.get("bias"), stride,
                                pad, dilation)
        return {key: value.numpy() for key, value in t.items()}

    def test_candle_dcnv2(self):
        same, one = (1, 2), (1, 1)
        cases = {"basic": self.case((3, 5), one, same, one),
                 "dcnv1": self.case((3, 5), one, same, one, masked=False, bias=False),
                 "no_padding": self.case((3, 3), one, (0, 0), one),
                 "stride_2": self.case((3, 3), (2, 2), one, one),
                 "from_a_model": self.case((3, 3), (2, 1), (0, 3), (1, 2))}
        cases["basic"]["conv2d_output"] = cases["basic"]["output"]
        for key, pair in (("stride", (2, 1)), ("padding", (0, 3)), ("dilation", (1, 2))):
            for axis, value in zip("hw", pair):
                cases["from_a_model"][key + "_" + axis] = np.array(value, np.int64)
        want = {"basic": (1, 1, 1, 2, 1, 1), "dcnv1": (1, 1, 1, 2, 1, 1),
                "no_padding": (1, 1, 0, 0, 1, 1), "stride_2": (2, 2, 1, 1, 1, 1),
                "from_a_model": (2, 1, 0, 3, 1, 2)}
        with tempfile.TemporaryDirectory() as folder:
            for name, tensors in cases.items():
                write_safetensors(os.path.join(folder, name + ".safetensors"), tensors)
            import_candle_dcnv2.main([folder, folder])
            with h5py.File(os.path.join(folder, "candle.h5")) as f:
                self.assertEqual(len(f), len(cases))
                for name, attributes in want.items():
                    group = f["dcnv2 " + name]
                    have = tuple(int(group.attrs[key + "_" + axis])
                                 for key in ("stride", "pad", "dilation") for axis in "hw")
                    self.assertEqual(have, attributes)
                    self.assertEqual("in/mask" in group, name != "dcnv1")
                    np.testing.assert_array_equal(group["float32/output"], cases[name]["output"])
            write_safetensors(os.path.join(folder, "half.safetensors"),
                              {"input": cases["basic"]["input"]})
            with self.assertRaisesRegex(SystemExit, "half.safetensors: there is no offset, weight"):
                import_candle_dcnv2.main([folder, folder])


if __name__ == "__main__":
    unittest.main()
