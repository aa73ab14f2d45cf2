"""Architectures in torch: what makes each, and an example of its inputs with a batch of 1."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional

Tensors = tuple[torch.Tensor, ...]


def conv(before: int, after: int, size: int = 3, act: type[nn.Module] | None = nn.ReLU, **options: Any) -> nn.Module:
    """Return a convolution that keeps the size, normalized and activated."""
    around = options.get("dilation", 1) * (size // 2)
    parts: list[nn.Module] = [
        nn.Conv2d(before, after, size, padding=around, bias=False, **options),
        nn.BatchNorm2d(after),
    ]
    return nn.Sequential(*parts, *([] if act is None else [act()]))


def head(width: int) -> nn.Module:
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10))


class Sum(nn.Module):
    """Adds what its parts give."""

    def __init__(self, *parts: nn.Module) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return sum(part(x) for part in self.parts)


class Concatenate(Sum):
    """Puts what its parts give one after the other, along the channels."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([part(x) for part in self.parts], 1)


class Gate(nn.Module):
    """Squeeze and excite."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(width, width // 4, 1), nn.SiLU(), nn.Conv2d(width // 4, width, 1)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.sigmoid(self.gate(x))


class Shuffle(nn.Module):
    """Mixes the channels of the groups."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, channels, height, width = x.shape
        return x.reshape(batch, 4, channels // 4, height, width).transpose(1, 2).reshape(x.shape)


def inverted(before: int, after: int, stride: int = 1) -> nn.Module:
    wide = 4 * before
    parts = [conv(before, wide, 1, nn.ReLU6), conv(wide, wide, 3, nn.ReLU6, stride=stride, groups=wide)]
    whole = nn.Sequential(*parts, conv(wide, after, 1, None))
    return Sum(nn.Identity(), whole) if stride == 1 and before == after else whole


def residual(width: int) -> nn.Module:
    return nn.Sequential(Sum(nn.Identity(), nn.Sequential(conv(width, width), conv(width, width, act=None))), nn.ReLU())


class ChannelNorm(nn.Module):
    """Normalizes over channels that come first."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.middle = conv(3, 8), conv(8, 16), conv(16, 32)
        self.up = nn.ModuleList([nn.ConvTranspose2d(32, 16, 2, 2), nn.ConvTranspose2d(16, 8, 2, 2)])
        self.back = nn.ModuleList([conv(32, 16), conv(16, 8)])
        self.last = nn.Conv2d(8, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first = self.first(x)
        second = self.second(functional.max_pool2d(first, 2))
        x = self.up[0](self.middle(functional.max_pool2d(second, 2)))
        x = self.up[1](self.back[0](torch.cat([x, second], 1)))
        return self.last(self.back[1](torch.cat([x, first], 1)))


class Attention(nn.Module):
    def __init__(self, width: int, heads: int = 2, causal: bool = False) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.query_key_value, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, length, width = x.shape
        parts = self.query_key_value(x).reshape(batch, length, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)
        y = functional.scaled_dot_product_attention(query, key, value, is_causal=self.causal)
        return self.out(y.transpose(1, 2).reshape(batch, length, width))


def transform(width: int, causal: bool = False) -> nn.Module:
    attend = nn.Sequential(nn.LayerNorm(width), Attention(width, causal=causal))
    think = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
    return nn.Sequential(Sum(nn.Identity(), attend), Sum(nn.Identity(), think))


class Places(nn.Module):
    def __init__(self, length: int, width: int) -> None:
        super().__init__()
        self.places = nn.Parameter(torch.randn(1, length, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.places


class Patches(nn.Module):
    def __init__(self, width: int, size: int) -> None:
        super().__init__()
        self.cut = nn.Conv2d(3, width, size, size)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.cut(x).flatten(2).transpose(1, 2)


class Peak(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.amax(-1)


class Mean(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean(1)


class Mixer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(32)
        self.places = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.places(self.norm(x).transpose(1, 2)).transpose(1, 2)


class ShiftedWindows(nn.Module):
    """An image of 8 x 8 places, rolled by half a window, in windows of 4 x 4."""

    def __init__(self) -> None:
        super().__init__()
        self.cut, self.block = nn.Conv2d(3, 16, 4, 4), transform(16)
        self.last = nn.Linear(16, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.roll(self.cut(x).permute(0, 2, 3, 1), (-2, -2), (1, 2))
        batch = x.shape[0]
        x = x.reshape(batch, 2, 4, 2, 4, 16).permute(0, 1, 3, 2, 4, 5).reshape(batch * 4, 16, 16)
        x = self.block(x).reshape(batch, 2, 2, 4, 4, 16).permute(0, 1, 3, 2, 4, 5).reshape(batch, 8, 8, 16)
        return self.last(torch.roll(x, (2, 2), (1, 2)).mean((1, 2)))


class Recurrent(nn.Module):
    def __init__(self, kind: Callable[..., nn.Module], **options: Any) -> None:
        super().__init__()
        self.layer = kind(8, 12, batch_first=True, **options)
        self.last = nn.Linear(24 if options.get("bidirectional") else 12, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.layer(x)[0])


class CausalConvolution(nn.Module):
    def __init__(self, before: int, after: int, dilation: int) -> None:
        super().__init__()
        self.left = 2 * dilation
        self.layer = nn.Conv1d(before, after, 3, dilation=dilation)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.layer(functional.pad(x, (self.left, 0))))


class Words(nn.Module):
    def __init__(self, after: nn.Module, width: int = 32) -> None:
        super().__init__()
        self.words, self.after = nn.Embedding(32, width), after

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.after(self.words(x))


class Detector(nn.Module):
    """Boxes and classes of two scales, from a grid."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(3, 16, stride=2, act=nn.SiLU), conv(16, 24, stride=2, act=nn.SiLU))
        self.scales = nn.ModuleList([conv(24, 32, stride=2, act=nn.SiLU), conv(32, 48, stride=2, act=nn.SiLU)])
        self.heads = nn.ModuleList([nn.Conv2d(32, 3 * 9, 1), nn.Conv2d(48, 3 * 9, 1)])
        for index, size in enumerate((8, 4)):
            rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
            self.register_buffer(f"grid{index}", torch.stack([columns, rows], -1).float()[None, None])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.body(x)
        found = []
        for index, (scale, last) in enumerate(zip(self.scales, self.heads, strict=True)):
            x = scale(x)
            batch, _, height, width = x.shape
            y = last(x).reshape(batch, 3, 9, height, width).permute(0, 1, 3, 4, 2)
            middle = (torch.sigmoid(y[..., :2]) * 2 - 0.5 + getattr(self, f"grid{index}")) * (64 / height)
            y = torch.cat([middle, torch.exp(torch.tanh(y[..., 2:4])) * 8, torch.sigmoid(y[..., 4:])], -1)
            found.append(y.reshape(batch, -1, 9))
        return torch.cat(found, 1)


class Graph(nn.Module):
    """Two graph convolutions: features of 10 nodes, and what is next to what."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(6, 16), nn.Linear(16, 4)

    def forward(self, nodes: torch.Tensor, edges: torch.Tensor) -> torch.Tensor:
        edges = torch.sigmoid(edges)
        edges = edges / edges.sum(-1, keepdim=True)
        return edges @ self.second(torch.relu(edges @ self.first(nodes)))


class Fourier(nn.Module):
    """A coordinate network: sines of what is given."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("waves", 2.0 ** torch.arange(6) * math.pi)
        self.layers = nn.Sequential(nn.Linear(36, 32), nn.ReLU(), nn.Linear(32, 4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        angles = (x[..., None] * self.waves).flatten(-2)
        return self.layers(torch.cat([torch.sin(angles), torch.cos(angles)], -1))


def stir(model: torch.nn.Module) -> None:
    """Move what starts at nought or one: biases and statistics that do nothing would hide a wrong one."""
    with torch.no_grad():
        for name, value in [*model.named_parameters(), *model.named_buffers()]:
            if value.ndim == 1 and value.is_floating_point() and name.split(".")[-1] != "waves":
                value += torch.empty_like(value).uniform_(-0.2, 0.2)


def images(size: int = 32) -> Tensors:
    return (torch.randn(1, 3, size, size),)


def sequences() -> Tensors:
    return (torch.randn(1, 12, 8),)


ARCHITECTURES: dict[str, tuple[Callable[[], nn.Module], Callable[[], Tensors]]] = {
    "resnet": (lambda: nn.Sequential(conv(3, 16, stride=2), residual(16), residual(16), head(16)), images),
    "mobilenet_v2": (
        lambda: nn.Sequential(conv(3, 8, stride=2), inverted(8, 8), inverted(8, 16, 2), inverted(16, 16), head(16)),
        images,
    ),
    "efficientnet": (
        lambda: nn.Sequential(conv(3, 16, stride=2, act=nn.SiLU), Gate(16), conv(16, 32, stride=2), Gate(32), head(32)),
        images,
    ),
    "shufflenet": (
        lambda: nn.Sequential(conv(3, 16, stride=2), conv(16, 32, 1, groups=4), Shuffle(), conv(32, 32), head(32)),
        images,
    ),
    "squeezenet": (
        lambda: nn.Sequential(
            conv(3, 16, stride=2),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            Concatenate(conv(16, 8, 1), conv(16, 8)),
            head(16),
        ),
        images,
    ),
    "vgg": (
        lambda: nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(4),
            nn.Flatten(),
            nn.Linear(512, 32),
            nn.ReLU(),
            nn.Linear(32, 10),
        ),
        images,
    ),
    "convnext": (
        lambda: nn.Sequential(
            nn.Conv2d(3, 16, 4, 4),
            ChannelNorm(16),
            nn.Conv2d(16, 16, 7, padding=3, groups=16),
            ChannelNorm(16),
            nn.Conv2d(16, 64, 1),
            nn.GELU(),
            nn.Conv2d(64, 16, 1),
            head(16),
        ),
        images,
    ),
    "group_norm": (
        lambda: nn.Sequential(
            nn.Conv2d(3, 16, 3, 2, 1), nn.GroupNorm(4, 16), nn.Mish(), nn.Conv2d(16, 16, 3), nn.InstanceNorm2d(16)
        ),
        images,
    ),
    "dilated": (
        lambda: nn.Sequential(
            conv(3, 16, stride=2),
            Concatenate(conv(16, 8, dilation=2), conv(16, 8, dilation=4)),
            nn.Conv2d(16, 5, 1),
            nn.Upsample(scale_factor=2, mode="bilinear"),
        ),
        images,
    ),
    "unet": (UNet, images),
    "autoencoder": (
        lambda: nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(2048, 16),
            nn.Linear(16, 2048),
            nn.Unflatten(1, (8, 16, 16)),
            nn.ConvTranspose2d(8, 3, 4, 2, 1),
        ),
        images,
    ),
    "super_resolution": (
        lambda: nn.Sequential(
            nn.Conv2d(3, 16, 5, padding=2), nn.ReLU(), nn.Conv2d(16, 12, 3, padding=1), nn.PixelShuffle(2)
        ),
        images,
    ),
    "detector": (Detector, lambda: images(64)),
    "vit": (
        lambda: nn.Sequential(Patches(32, 8), Places(16, 32), transform(32), transform(32), Mean(), nn.Linear(32, 10)),
        images,
    ),
    "shifted_windows": (ShiftedWindows, images),
    "mixer": (lambda: nn.Sequential(Patches(32, 8), Mixer(), Mixer(), Mean(), nn.Linear(32, 10)), images),
    "bert": (
        lambda: Words(nn.Sequential(Places(16, 32), nn.LayerNorm(32), transform(32), transform(32))),
        lambda: (torch.randint(0, 32, (1, 16)),),
    ),
    "gpt": (
        lambda: Words(nn.Sequential(Places(12, 32), transform(32, causal=True), nn.Linear(32, 32))),
        lambda: (torch.randint(0, 32, (1, 12)),),
    ),
    "lstm": (lambda: Recurrent(nn.LSTM), sequences),
    "gru": (lambda: Recurrent(nn.GRU, bidirectional=True), sequences),
    "temporal_convolutions": (
        lambda: nn.Sequential(*(CausalConvolution(8, 8, rate) for rate in (1, 2, 4)), Peak()),
        lambda: (torch.randn(1, 8, 40),),
    ),
    "graph": (Graph, lambda: (torch.randn(1, 10, 6), torch.randn(1, 10, 10))),
    "fourier": (Fourier, lambda: (torch.rand(1, 3),)),
}
