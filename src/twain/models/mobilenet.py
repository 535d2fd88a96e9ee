"""MobileNetV2: Sandler et al., "Inverted residuals and linear bottlenecks" (2018). Parameter names: torchvision's."""

from __future__ import annotations

from dataclasses import dataclass

import twain
from twain import nn

from .pretrained import Pretrained
from .resnet import convolution

Tensor = twain.Tensor

# Table 2 of the paper: expansion, channels, blocks, stride of the first one.
BLOCKS = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))


@dataclass
class MobileNetV2Config:
    num_classes: int = 1000
    width_mult: float = 1.0
    dropout: float = 0.2


def rounded(channels: float) -> int:
    """The nearest multiple of 8, at least 8 and at least 0.9 of the number."""
    found = max(8, int(channels + 4) // 8 * 8)
    return found + 8 if found < 0.9 * channels else found


def _unit(inputs: int, outputs: int, size: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(convolution(inputs, outputs, size, stride, groups), nn.BatchNorm2d(outputs), nn.ReLU6())


class _InvertedResidual(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int):
        inner = inputs * expansion
        widen = [_unit(inputs, inner, 1)] if expansion != 1 else []
        self.conv = nn.Sequential(
            *widen, _unit(inner, inner, 3, stride, inner), convolution(inner, outputs, 1), nn.BatchNorm2d(outputs)
        )
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.adds else self.conv(x)


class MobileNetV2(Pretrained):
    """Images (N, 3, H, W) -> logits (N, num_classes)."""

    Config = MobileNetV2Config

    def __init__(self, config: MobileNetV2Config | None = None):
        config = config or MobileNetV2Config()
        self.config = config
        channels = rounded(32 * config.width_mult)
        layers: list[nn.Module] = [_unit(3, channels, 3, 2)]
        for expansion, width, count, stride in BLOCKS:
            outputs = rounded(width * config.width_mult)
            for i in range(count):
                layers.append(_InvertedResidual(channels, outputs, stride if i == 0 else 1, expansion))
                channels = outputs
        last = rounded(1280 * max(1.0, config.width_mult))
        layers.append(_unit(channels, last, 1))
        self.features = nn.Sequential(*layers)
        linear = nn.Linear(last, config.num_classes)
        nn.init.normal_(linear.weight, 0.0, 0.01)
        nn.init.zeros_(linear.bias)
        self.classifier = nn.Sequential(nn.Dropout(config.dropout), linear)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).mean((2, 3)))


def mobilenet_v2(num_classes: int = 1000) -> MobileNetV2:
    """3.5 million parameters."""
    return MobileNetV2(MobileNetV2Config(num_classes))
