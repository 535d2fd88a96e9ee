"""U-Net: Ronneberger et al., "U-Net: convolutional networks for biomedical image segmentation" (2015), with padding, so that
the result has the image's size, and batch normalisation."""

from __future__ import annotations

from dataclasses import dataclass

import twain
from twain import nn

from .pretrained import Pretrained

Tensor = twain.Tensor


@dataclass
class UNetConfig:
    in_channels: int = 3
    num_classes: int = 1
    channels: tuple[int, ...] = (64, 128, 256, 512, 1024)


def _double(inputs: int, outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for i in (inputs, outputs):
        layers += [nn.Conv2d(i, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
    return nn.Sequential(*layers)


class UNet(Pretrained):
    """Images (N, in_channels, H, W) -> logits (N, num_classes, H, W); H and W are multiples of 2 ** (levels - 1).

    Parameters: down.K, the double convolutions on the way down; up.K, the transposed convolutions on the way up and join.K
    the double convolutions behind them; out.
    """

    Config = UNetConfig

    def __init__(self, config: UNetConfig | None = None):
        c = self.config = config or UNetConfig()
        widths = tuple(c.channels)
        self.down = nn.ModuleList([_double(i, o) for i, o in zip((c.in_channels, *widths), widths, strict=False)])
        rising = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.up = nn.ModuleList([nn.ConvTranspose2d(i, o, 2, stride=2) for i, o in rising])
        self.join = nn.ModuleList([_double(2 * o, o) for _, o in rising])
        self.pool = nn.MaxPool2d(2)
        self.out = nn.Conv2d(widths[0], c.num_classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        unit = 2 ** (len(self.config.channels) - 1)
        if x.ndim != 4 or x.shape[1] != self.config.in_channels or x.shape[2] % unit or x.shape[3] % unit:
            raise ValueError(
                f"[UNet] expected images (N, {self.config.in_channels}, H, W) with H and W multiples of {unit}, got "
                f"{tuple(x.shape)}"
            )
        beside = []
        for i, layer in enumerate(self.down):
            x = layer(self.pool(x) if i else x)
            beside.append(x)
        beside.pop()
        for up, join in zip(self.up, self.join, strict=True):
            x = join(twain.concat([beside.pop(), up(x)], axis=1))
        return self.out(x)
