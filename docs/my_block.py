"""A DCNv3 layer written from the paper, with one mistake in it: the port of
docs/verify-your-port.md. Run it in the repository's root; it writes mine.npz."""
import h5py
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F


class MyDCNv3(nn.Module):
    def __init__(self, channels=16, groups=2, points=9):
        super().__init__()
        self.groups, self.points = groups, points
        self.value = nn.Linear(channels, channels)
        self.depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.offset = nn.Linear(channels, groups * points * 2)
        self.mask = nn.Linear(channels, groups * points)
        self.sampled = nn.Identity()            # only to give the value a name
        self.out = nn.Linear(channels, channels)

    def forward(self, x):                       # [N, H, W, C]
        n, h, w, c = x.shape
        q = self.depthwise(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        q = F.gelu(self.norm(q))
        offset = self.offset(q).view(n, h, w, self.groups, self.points, 2)
        mask = self.mask(q).view(n, h, w, self.groups, self.points).softmax(-1)
        value = self.value(x).view(n, h, w, self.groups, -1)
        return self.out(self.sampled(self.sample(value, offset, mask)))

    def sample(self, value, offset, mask):
        n, h, w, g, c = value.shape
        column, row = torch.arange(9) // 3 - 1, torch.arange(9) % 3 - 1
        y = torch.arange(h).view(h, 1, 1, 1) + row + offset[..., 0]         # the mistake
        x = torch.arange(w).view(w, 1, 1) + column + offset[..., 1]
        grid = torch.stack([(2 * x + 1) / w - 1, (2 * y + 1) / h - 1], -1)
        grid = grid.permute(0, 3, 1, 2, 4, 5).reshape(n * g, h * w, -1, 2)
        image = value.permute(0, 3, 4, 1, 2).reshape(n * g, c, h, w)
        points = F.grid_sample(image, grid, align_corners=False).view(n, g, c, h, w, -1)
        return (points * mask.permute(0, 3, 1, 2, 4).unsqueeze(2)).sum(-1) \
            .permute(0, 3, 4, 1, 2).reshape(n, h, w, g * c)


# theirs -> mine: the names of the layer's parts
NAMES = {"input_proj": "value", "dw_conv.0": "depthwise", "dw_conv.1.1": "norm", "offset": "offset",
         "mask": "mask", "core": "sampled", "output_proj": "out"}
LAYER = "levels.0.blocks.0.dcn"

block = MyDCNv3()
weights = h5py.File("weights.h5")
block.load_state_dict({"%s.%s" % (mine, what): torch.from_numpy(weights["%s.%s.%s" % (LAYER, theirs, what)][()])
                       for theirs, mine in NAMES.items() if theirs != "core"
                       for what in ("weight", "bias")})

x = torch.from_numpy(np.load("right.npz")["levels.0.blocks.0.norm1.0"])     # what goes into it
mine = {}
for path, module in block.named_modules():
    module.register_forward_hook(lambda m, i, o, path=path: mine.update({path: o.detach().numpy()}))
block(x)
np.savez("mine.npz", **{k: v for k, v in mine.items() if k})

with open("names.map", "w") as f:
    for theirs, name in NAMES.items():
        f.write("%s.%s = %s\n" % (LAYER, theirs, name))
