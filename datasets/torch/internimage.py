"""InternImage in PyTorch with the official checkpoints' state_dict keys.

arXiv 2211.05778. NHWC inside, as the official code. Every value that
docs/formats.md names is the output of some module: those that the official code
computes in passing go through a `Probe`, which has no parameters and so leaves the
keys as they are.
"""
from dataclasses import asdict, dataclass

import torch
import torch.nn as nn
import torch.nn.functional as F

import dcn


@dataclass
class Config:
    """The architecture; `config.*` in docs/formats.md."""
    channels: int = 64
    depths: tuple = (4, 4, 18, 4)
    groups: tuple = (4, 8, 16, 32)
    mlp_ratio: float = 4.0
    kernel_size: int = 3
    dw_kernel_size: int = 0             # 0: same as kernel_size
    offset_scale: float = 1.0
    layer_scale: bool = False
    post_norm: bool = False
    res_post_norm: bool = False
    level2_post_norm: tuple = ()
    center_feature_scale: bool = False
    remove_center: bool = False
    clip_projector: bool = False
    clip_dim: int = 1024
    clip_heads: int = 16
    clip_out: int = 768
    num_classes: int = 1000

    def items(self):
        return asdict(self).items()


def _post(channels, depths, groups, **other):
    return Config(channels, depths, groups, post_norm=True, layer_scale=True, **other)


_HUGE = dict(dw_kernel_size=5, center_feature_scale=True, clip_projector=True)

VARIANTS = {
    "t": Config(),
    "s": _post(80, (4, 4, 21, 4), (5, 10, 20, 40)),
    "b": _post(112, (4, 4, 21, 4), (7, 14, 28, 56)),
    "l": _post(160, (5, 5, 22, 5), (10, 20, 40, 80), offset_scale=2.0),
    "xl": _post(192, (5, 5, 24, 5), (12, 24, 48, 96), offset_scale=2.0),
    "h": Config(320, (6, 6, 32, 6), (10, 20, 40, 80), res_post_norm=True,
                level2_post_norm=(5, 11, 17, 23, 29), **_HUGE),
    "g": Config(512, (2, 2, 48, 4), (16, 32, 64, 128), post_norm=True,
                level2_post_norm=tuple(range(5, 48, 6)), **_HUGE),
}

_PICO = dict(channels=16, depths=(1, 1, 2, 1), groups=(2, 4, 8, 16), num_classes=10)
_PICO_CLIP = dict(clip_projector=True, clip_dim=64, clip_heads=4, clip_out=48)

# Small models that between them use every style of block and head.
PICOS = {
    "pico": Config(**_PICO),
    "pico_s": Config(post_norm=True, layer_scale=True, offset_scale=2.0, **_PICO),
    "pico_h": Config(res_post_norm=True, dw_kernel_size=5, center_feature_scale=True,
                     level2_post_norm=(0, 1), **_PICO, **_PICO_CLIP),
    "pico_g": Config(post_norm=True, center_feature_scale=True, level2_post_norm=(1,),
                     kernel_size=5, remove_center=True, **_PICO, **_PICO_CLIP),
}


class Probe(nn.Module):
    """Gives a passing value a name: its output is its input."""

    def __init__(self, layout=None):
        super().__init__()
        self.layout = layout            # for dump.py, where it cannot be told

    def forward(self, x):
        return x


class ToNHWC(nn.Module):
    def forward(self, x):
        return x.permute(0, 2, 3, 1)


class ToNCHW(nn.Module):
    def forward(self, x):
        return x.permute(0, 3, 1, 2)


def norm(channels):
    """LayerNorm whose key ends in `.0`."""
    return nn.Sequential(nn.LayerNorm(channels, eps=1e-6))


def norm_after_conv(channels):
    """NCHW to NHWC, then LayerNorm: its key ends in `.1`."""
    return nn.Sequential(ToNHWC(), nn.LayerNorm(channels, eps=1e-6))


class DCNv3(nn.Module):
    def __init__(self, c, channels, groups):
        super().__init__()
        self.config, self.groups = c, groups
        self.points = c.kernel_size ** 2 - int(c.remove_center)
        dw = c.dw_kernel_size or c.kernel_size
        if c.center_feature_scale:
            self.center_feature_scale_proj_weight = nn.Parameter(torch.zeros(groups, channels))
            self.center_feature_scale_proj_bias = nn.Parameter(torch.zeros(groups))
        self.dw_conv = nn.Sequential(
            nn.Conv2d(channels, channels, dw, padding=(dw - 1) // 2, groups=channels),
            norm_after_conv(channels), nn.GELU())
        self.offset = nn.Linear(channels, groups * self.points * 2)
        self.mask = nn.Linear(channels, groups * self.points)
        self.input_proj = nn.Linear(channels, channels)
        self.output_proj = nn.Linear(channels, channels)
        self.softmax, self.core = Probe(), Probe()
        if c.center_feature_scale:
            self.center_feature_scale_proj = Probe()
            self.center_feature_scale_sigmoid = Probe()
            self.center_feature_scale = Probe()

    def forward(self, x):
        c = self.config
        value = self.input_proj(x)
        q = self.dw_conv(x.permute(0, 3, 1, 2))
        mask = self.mask(q)
        shape = mask.shape
        mask = F.softmax(mask.reshape(*shape[:3], self.groups, self.points), -1)
        mask = self.softmax(mask.reshape(shape))
        k, p = c.kernel_size, (c.kernel_size - 1) // 2
        y = self.core(dcn.dcnv3(value, self.offset(q), mask, (k, k), (1, 1), (p, p), (1, 1),
                                self.groups, c.offset_scale, c.remove_center))
        if c.center_feature_scale:
            s = F.linear(q, self.center_feature_scale_proj_weight,
                         self.center_feature_scale_proj_bias)
            s = self.center_feature_scale_sigmoid(
                torch.sigmoid(self.center_feature_scale_proj(s)))
            s = s.repeat_interleave(y.shape[-1] // self.groups, -1)
            y = self.center_feature_scale(y * (1 - s) + value * s)
        return self.output_proj(y)


class MLP(nn.Module):
    def __init__(self, channels, ratio):
        super().__init__()
        self.fc1 = nn.Linear(channels, int(channels * ratio))
        self.act = nn.GELU()
        self.fc2 = nn.Linear(int(channels * ratio), channels)

    def forward(self, x):
        return self.fc2(self.act(self.fc1(x)))


class Block(nn.Module):
    def __init__(self, c, channels, groups):
        super().__init__()
        self.config = c
        if c.layer_scale:
            self.gamma1 = nn.Parameter(torch.full((channels,), 1e-5))
            self.gamma2 = nn.Parameter(torch.full((channels,), 1e-5))
            self.scale1, self.scale2 = Probe(), Probe()
        self.norm1 = norm(channels)
        self.dcn = DCNv3(c, channels, groups)
        self.norm2 = norm(channels)
        self.mlp = MLP(channels, c.mlp_ratio)
        if c.res_post_norm:
            self.res_post_norm1 = norm(channels)
            self.res_post_norm2 = norm(channels)
        self.residual1 = Probe()

    def branch(self, x, run, which):
        """One residual branch; the norm's place is what the variants differ in."""
        c = self.config
        own_norm = getattr(self, "norm%d" % which)
        y = own_norm(run(x)) if c.post_norm else run(own_norm(x))
        if c.layer_scale:
            return getattr(self, "scale%d" % which)(getattr(self, "gamma%d" % which) * y)
        if c.res_post_norm and not c.post_norm:
            y = getattr(self, "res_post_norm%d" % which)(y)
        return y

    def forward(self, x):
        x = self.residual1(x + self.branch(x, self.dcn, 1))
        return x + self.branch(x, self.mlp, 2)


class Downsample(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, 2 * channels, 3, stride=2, padding=1, bias=False)
        self.norm = norm_after_conv(2 * channels)

    def forward(self, x):
        return self.norm(self.conv(x.permute(0, 3, 1, 2)))


class Level(nn.Module):
    """Blocks, norms, and the way down. Returns (feature, input of the next level)."""

    def __init__(self, c, index):
        super().__init__()
        channels = c.channels << index
        self.blocks = nn.ModuleList(
            Block(c, channels, c.groups[index]) for _ in range(c.depths[index]))
        self.post_norm_ids = c.level2_post_norm if index == 2 else ()
        if self.post_norm_ids:
            self.post_norms = nn.ModuleList(norm(channels) for _ in self.post_norm_ids)
        self.has_norm = not c.post_norm or c.center_feature_scale
        if self.has_norm:
            self.norm = norm(channels)
        self.downsample = Downsample(channels) if index < 3 else None

    def forward(self, x):
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i in self.post_norm_ids:
                x = self.post_norms[self.post_norm_ids.index(i)](x)
        if self.has_norm:
            x = self.norm(x)
        return x, self.downsample(x) if self.downsample else x


class Stem(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv1 = nn.Conv2d(3, channels // 2, 3, stride=2, padding=1)
        self.norm1 = nn.Sequential(ToNHWC(), nn.LayerNorm(channels // 2, eps=1e-6), ToNCHW())
        self.act = nn.GELU()
        self.conv2 = nn.Conv2d(channels // 2, channels, 3, stride=2, padding=1)
        self.norm2 = norm_after_conv(channels)

    def forward(self, x):
        return self.norm2(self.conv2(self.act(self.norm1(self.conv1(x)))))


class CrossAttention(nn.Module):
    def __init__(self, dim, heads, out):
        super().__init__()
        self.heads = heads
        self.q_bias, self.k_bias, self.v_bias = (nn.Parameter(torch.zeros(dim)) for _ in "qkv")
        for name in "qkv":
            linear = nn.Linear(dim, dim, bias=False)
            setattr(self, name, linear)
        self.attention = Probe()
        self.proj = nn.Linear(dim, out)

    def forward(self, q, k, v, record):
        n, tokens, dim = k.shape
        q = record("q", F.linear(q, self.q.weight, self.q_bias))
        k = record("k", F.linear(k, self.k.weight, self.k_bias))
        v = record("v", F.linear(v, self.v.weight, self.v_bias))
        size = dim // self.heads
        q = q.reshape(n, 1, self.heads, size).transpose(1, 2) * size ** -0.5
        k, v = (t.reshape(n, tokens, self.heads, size).transpose(1, 2) for t in (k, v))
        z = F.softmax(q @ k.transpose(2, 3), -1) @ v
        return self.proj(self.attention(z.transpose(1, 2).reshape(n, dim)))


class ClipProjector(nn.Module):
    """The mean token asks, all tokens answer; no residual."""

    def __init__(self, dim, heads, out):
        super().__init__()
        self.norm1_q, self.norm1_k, self.norm1_v = norm(dim), norm(dim), norm(dim)
        self.cross_dcn = CrossAttention(dim, heads, out)
        self.mean = Probe()
        self.recorded = {}              # q, k, v: F.linear calls, which no hook sees

    def forward(self, tokens):
        def record(name, value):
            self.recorded["cross_dcn." + name] = value
            return value
        q = self.norm1_q(self.mean(tokens.mean(1)))
        return self.cross_dcn(q, self.norm1_k(tokens), self.norm1_v(tokens), record)


class InternImage(nn.Module):
    """Image [N, 3, H, W], normalised, to logits [N, classes]."""

    def __init__(self, c):
        super().__init__()
        self.config = c
        last = c.channels << 3
        self.patch_embed = Stem(c.channels)
        self.levels = nn.ModuleList(Level(c, i) for i in range(4))
        if c.clip_projector:
            self.dcnv3_head_x4 = nn.Sequential(
                nn.Conv2d(last, 4 * c.clip_dim, 1), nn.PixelShuffle(2))
            self.dcnv3_head_x3 = nn.Conv2d(last // 2, c.clip_dim, 1)
            self.dcnv3_head = Probe("NCHW")
            self.clip_projector = ClipProjector(c.clip_dim, c.clip_heads, c.clip_out)
            self.fc_norm = norm(c.clip_out)
            self.head = nn.Linear(c.clip_out, c.num_classes)
        else:
            wide = int(last * 1.5)
            self.conv_head = nn.Sequential(
                nn.Conv2d(last, wide, 1, bias=False),
                nn.Sequential(nn.BatchNorm2d(wide, eps=1e-5)), nn.GELU())
            self.pool = Probe()
            self.head = nn.Linear(wide, c.num_classes)

    def forward(self, x):
        x = self.patch_embed(x)
        features = []
        for level in self.levels:
            feature, x = level(x)
            features.append(feature.permute(0, 3, 1, 2))
        if not self.config.clip_projector:
            x = self.conv_head(features[3])
            return self.head(self.pool(x.mean((2, 3))))
        x = self.dcnv3_head(self.dcnv3_head_x4(features[3]) + self.dcnv3_head_x3(features[2]))
        tokens = x.flatten(2).transpose(1, 2)
        return self.head(self.fc_norm(self.clip_projector(tokens)))


def build(name_or_config):
    """A model in eval mode; a name of VARIANTS or PICOS, or a Config."""
    config = name_or_config
    if isinstance(config, str):
        name = config[len("internimage_"):] if config.startswith("internimage_") else config
        config = {**VARIANTS, **PICOS}[name]
    return InternImage(config).eval()
