"""Residual networks: He et al. 2015. The stride of a bottleneck is at its 3x3 convolution, as in torchvision (version 1.5),
whose parameter names these are."""

from __future__ import annotations

from dataclasses import dataclass

import twain
from twain import nn

from .pretrained import Pretrained

Tensor = twain.Tensor


@dataclass
class ResNetConfig:
    layers: tuple[int, ...] = (2, 2, 2, 2)
    bottleneck: bool = False
    num_classes: int = 1000
    in_channels: int = 3


class _Block(nn.Module):
    """Convolutions beside a shortcut; `channels` is what the inner ones have."""

    expansion = 1

    def __init__(self, inputs: int, channels: int, stride: int):
        outputs = channels * self.expansion
        self.make(inputs, channels, stride)
        self.relu = nn.ReLU()
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(convolution(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))

    def make(self, inputs: int, channels: int, stride: int) -> None:
        self.conv1 = convolution(inputs, channels, 3, stride)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = convolution(channels, channels, 3)
        self.bn2 = nn.BatchNorm2d(channels)

    def inside(self, x: Tensor) -> Tensor:
        return self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.inside(x) + (x if self.downsample is None else self.downsample(x)))


class _Bottleneck(_Block):
    expansion = 4

    def make(self, inputs: int, channels: int, stride: int) -> None:
        self.conv1 = convolution(inputs, channels, 1)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = convolution(channels, channels, 3, stride)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = convolution(channels, 4 * channels, 1)
        self.bn3 = nn.BatchNorm2d(4 * channels)

    def inside(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv1(x)))
        return self.bn3(self.conv3(self.relu(self.bn2(self.conv2(x)))))


def convolution(inputs: int, outputs: int, size: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """One without bias that keeps the image's size but for the stride, with He's initial values."""
    layer = nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False)
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return layer


class ResNet(Pretrained):
    """Images (N, 3, H, W) -> logits (N, num_classes)."""

    Config = ResNetConfig

    def __init__(self, config: ResNetConfig | None = None):
        config = config or ResNetConfig()
        self.config = config
        kind = _Bottleneck if config.bottleneck else _Block
        self.conv1 = convolution(config.in_channels, 64, 7, 2)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        inputs = 64
        for i, count in enumerate(config.layers):
            channels, blocks = 64 * 2**i, []
            for j in range(count):
                blocks.append(kind(inputs, channels, 2 if i and not j else 1))
                inputs = channels * kind.expansion
            setattr(self, f"layer{i + 1}", nn.Sequential(*blocks))
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(inputs, config.num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for i in range(len(self.config.layers)):
            x = getattr(self, f"layer{i + 1}")(x)
        return self.fc(self.avgpool(x).reshape((x.shape[0], x.shape[1])))


def resnet18(num_classes: int = 1000) -> ResNet:
    """11.7 million parameters."""
    return ResNet(ResNetConfig((2, 2, 2, 2), False, num_classes))


def resnet34(num_classes: int = 1000) -> ResNet:
    """21.8 million parameters."""
    return ResNet(ResNetConfig((3, 4, 6, 3), False, num_classes))


def resnet50(num_classes: int = 1000) -> ResNet:
    """25.6 million parameters."""
    return ResNet(ResNetConfig((3, 4, 6, 3), True, num_classes))
