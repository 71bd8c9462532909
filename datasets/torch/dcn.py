"""DCNv2 and DCNv3 in plain PyTorch, differentiable, exact in the input's dtype.

Both sample in *pixel* coordinates by gathering the four corners. That is what the
CUDA operators compute. The usual pure-PyTorch path goes through normalised
coordinates and `grid_sample`, which loses about 1e-6 and more on large images;
`dcnv3_grid_sample` has it for comparison.

Windows are (height, width) pairs: kernel, stride, pad, dilation.
"""
import torch
import torch.nn.functional as F


def out_size(size, kernel, stride, pad, dilation):
    """Positions a window takes along one axis, as torch.nn.Conv2d."""
    return (size + 2 * pad - dilation * (kernel - 1) - 1) // stride + 1


def bilinear(image, y, x):
    """Values of `image` [B, C, H, W] at pixel coordinates y, x [B, Q]: [B, C, Q].

    A corner outside of the image is 0; a point at or beyond -1, H or W, or one that
    is NaN, contributes nothing and has zero gradient.
    """
    batch, channels, height, width = image.shape
    inside = (y > -1) & (x > -1) & (y < height) & (x < width)
    y = torch.where(inside, y, torch.zeros_like(y))     # also keeps NaN out of gradients
    x = torch.where(inside, x, torch.zeros_like(x))
    y0, x0 = torch.floor(y), torch.floor(x)
    ly, lx = y - y0.detach(), x - x0.detach()
    y0, x0 = y0.long(), x0.long()
    flat = image.reshape(batch, channels, height * width)

    def corner(cy, cx):
        valid = inside & (cy >= 0) & (cx >= 0) & (cy < height) & (cx < width)
        index = cy.clamp(0, height - 1) * width + cx.clamp(0, width - 1)
        values = flat.gather(2, index[:, None, :].expand(-1, channels, -1))
        return values * valid[:, None, :].to(image.dtype)

    v1, v2 = corner(y0, x0), corner(y0, x0 + 1)
    v3, v4 = corner(y0 + 1, x0), corner(y0 + 1, x0 + 1)
    ly, lx = ly[:, None, :], lx[:, None, :]
    return ((1 - ly) * (1 - lx) * v1 + (1 - ly) * lx * v2
            + ly * (1 - lx) * v3 + ly * lx * v4)


def window_points(kernel, remove_center):
    """(column i, row j) of DCNv3's points in their order: x outermost."""
    return [(i, j) for i in range(kernel[1]) for j in range(kernel[0])
            if not (remove_center and i == kernel[1] // 2 and j == kernel[0] // 2)]


def dcnv3_positions(offset, size, kernel, stride, pad, dilation, scale, points):
    """Sampling positions (y, x) in pixels; offset [N, Ho, Wo, G, P, 2] as (x, y)."""
    dtype = offset.dtype
    center_x = (dilation[1] * (kernel[1] - 1)) >> 1
    center_y = (dilation[0] * (kernel[0] - 1)) >> 1
    oy = torch.arange(size[0], dtype=dtype)[:, None, None, None]
    ox = torch.arange(size[1], dtype=dtype)[None, :, None, None]
    i = torch.tensor([float(p[0] * dilation[1]) for p in points], dtype=dtype)
    j = torch.tensor([float(p[1] * dilation[0]) for p in points], dtype=dtype)
    # the order of the operations is the CUDA kernel's
    x = (ox * stride[1] - pad[1] + center_x) - center_x * scale + (i + offset[..., 0]) * scale
    y = (oy * stride[0] - pad[0] + center_y) - center_y * scale + (j + offset[..., 1]) * scale
    return y, x


def dcnv3(input, offset, mask, kernel, stride, pad, dilation, groups, offset_scale=1.0,
          remove_center=False):
    """DCNv3 operator (arXiv 2211.05778, eq. 2).

    input [N,H,W,C], offset [N,Ho,Wo,G*P*2] as (x, y), mask [N,Ho,Wo,G*P], points
    counted with x outermost. Returns [N,Ho,Wo,C].
    """
    n, height, width, channels = input.shape
    points = window_points(kernel, remove_center)
    ho = out_size(height, kernel[0], stride[0], pad[0], dilation[0])
    wo = out_size(width, kernel[1], stride[1], pad[1], dilation[1])
    per_group = channels // groups
    offset = offset.reshape(n, ho, wo, groups, len(points), 2)
    mask = mask.reshape(n, ho, wo, groups, len(points))
    y, x = dcnv3_positions(offset, (ho, wo), kernel, stride, pad, dilation, offset_scale, points)

    def by_group(t):                    # [N,Ho,Wo,G,P] to [N*G, Ho*Wo*P]
        return t.permute(0, 3, 1, 2, 4).reshape(n * groups, -1)

    image = input.reshape(n, height, width, groups, per_group).permute(0, 3, 4, 1, 2)
    image = image.reshape(n * groups, per_group, height, width)
    values = bilinear(image, by_group(y), by_group(x)) * by_group(mask)[:, None, :]
    values = values.reshape(n, groups, per_group, ho, wo, len(points)).sum(-1)
    return values.permute(0, 3, 4, 1, 2).reshape(n, ho, wo, channels)


def dcnv3_grid_sample(input, offset, mask, kernel, stride, pad, dilation, groups,
                      offset_scale=1.0, remove_center=False, grid_dtype=None):
    """The same through normalised coordinates and grid_sample; the coordinates are
    rounded to `grid_dtype` (upstream: always float32) before they are used."""
    n, height, width, channels = input.shape
    points = window_points(kernel, remove_center)
    ho = out_size(height, kernel[0], stride[0], pad[0], dilation[0])
    wo = out_size(width, kernel[1], stride[1], pad[1], dilation[1])
    offset = offset.reshape(n, ho, wo, groups, len(points), 2)
    y, x = dcnv3_positions(offset.to(grid_dtype or offset.dtype), (ho, wo), kernel, stride, pad,
                           dilation, offset_scale, points)
    y = (2 * (y + 0.5) / height - 1).to(input.dtype)
    x = (2 * (x + 0.5) / width - 1).to(input.dtype)
    grid = torch.stack([x, y], -1).permute(0, 3, 1, 2, 4, 5)
    grid = grid.reshape(n * groups, ho * wo, len(points), 2)
    image = input.permute(0, 3, 1, 2).reshape(n * groups, channels // groups, height, width)
    values = F.grid_sample(image, grid, mode="bilinear", padding_mode="zeros",
                           align_corners=False)
    weight = mask.reshape(n, ho * wo, groups, len(points)).permute(0, 2, 1, 3)
    values = (values * weight.reshape(n * groups, 1, ho * wo, len(points))).sum(-1)
    return values.reshape(n, channels, ho, wo).permute(0, 2, 3, 1)


def dcnv3_torchvision(input, offset, mask, kernel, stride, pad, dilation, groups,
                      offset_scale=1.0):
    """The same as a depthwise, all-ones DCNv2 of torchvision: a second oracle.

    Points are re-ordered from columns to rows, pairs from (x, y) to (y, x), and the
    offset scale is folded into the offsets about the window's centre.
    """
    from torchvision.ops import deform_conv2d

    n, ho, wo, _ = offset.shape
    channels, s = input.shape[3], offset_scale
    center_x = (dilation[1] * (kernel[1] - 1)) >> 1
    center_y = (dilation[0] * (kernel[0] - 1)) >> 1
    offset = offset.reshape(n, ho, wo, groups, kernel[1], kernel[0], 2)
    i = torch.arange(kernel[1], dtype=offset.dtype)[:, None]
    j = torch.arange(kernel[0], dtype=offset.dtype)[None, :]
    x = s * offset[..., 0] + (s - 1) * (i * dilation[1] - center_x)
    y = s * offset[..., 1] + (s - 1) * (j * dilation[0] - center_y)
    rows_first = torch.stack([y, x], -1).transpose(4, 5)        # [N,Ho,Wo,G,Kh,Kw,2]
    rows_first = rows_first.permute(0, 3, 4, 5, 6, 1, 2).reshape(n, -1, ho, wo)
    m = mask.reshape(n, ho, wo, groups, kernel[1], kernel[0]).transpose(4, 5)
    m = m.permute(0, 3, 4, 5, 1, 2).reshape(n, -1, ho, wo)
    ones = torch.ones(channels, 1, kernel[0], kernel[1], dtype=input.dtype)
    out = deform_conv2d(input.permute(0, 3, 1, 2).contiguous(), rows_first.contiguous(), ones,
                        stride=stride, padding=pad, dilation=dilation, mask=m.contiguous())
    return out.permute(0, 2, 3, 1)


def dcnv2(input, offset, mask, weight, bias, stride, pad, dilation, groups=1, offset_groups=1):
    """DCNv2 (arXiv 1811.11168); mask None: DCNv1. torchvision's conventions: NCHW,
    taps row-major, offset channels (y, x), weight [Co, Ci/groups, Kh, Kw]."""
    n, channels, height, width = input.shape
    outputs, _, kh, kw = weight.shape
    taps = kh * kw
    ho = out_size(height, kh, stride[0], pad[0], dilation[0])
    wo = out_size(width, kw, stride[1], pad[1], dilation[1])
    dtype = input.dtype
    offset = offset.reshape(n, offset_groups, taps, 2, ho, wo)
    ky = torch.arange(kh, dtype=dtype).repeat_interleave(kw)[:, None, None] * dilation[0]
    kx = torch.arange(kw, dtype=dtype).repeat(kh)[:, None, None] * dilation[1]
    y = (torch.arange(ho, dtype=dtype)[:, None] * stride[0] - pad[0] + ky) + offset[:, :, :, 0]
    x = (torch.arange(wo, dtype=dtype)[None, :] * stride[1] - pad[1] + kx) + offset[:, :, :, 1]
    image = input.reshape(n * offset_groups, channels // offset_groups, height, width)
    values = bilinear(image, y.reshape(n * offset_groups, -1), x.reshape(n * offset_groups, -1))
    if mask is not None:
        values = values * mask.reshape(n * offset_groups, 1, taps * ho * wo)
    columns = values.reshape(n, groups, channels // groups * taps, ho * wo)
    w = weight.reshape(groups, outputs // groups, -1)
    out = torch.einsum("gok,ngkq->ngoq", w, columns).reshape(n, outputs, ho, wo)
    return out if bias is None else out + bias[None, :, None, None]
