"""Vision transformers: Dosovitskiy et al., "An image is worth 16x16 words" (2020). Parameter names: torchvision's."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import twain
from twain import nn

from .pretrained import Pretrained

Tensor = twain.Tensor


@dataclass
class ViTConfig:
    image_size: int = 224
    patch_size: int = 16
    num_layers: int = 12
    num_heads: int = 12
    hidden_dim: int = 768
    mlp_dim: int = 3072
    dropout: float = 0.0
    attention_dropout: float = 0.0
    num_classes: int = 1000
    in_channels: int = 3


class _Block(nn.Module):
    def __init__(self, c: ViTConfig):
        self.ln_1 = nn.LayerNorm(c.hidden_dim, 1e-6)
        self.self_attention = nn.MultiheadAttention(c.hidden_dim, c.num_heads, c.attention_dropout, batch_first=True)
        self.dropout = nn.Dropout(c.dropout)
        self.ln_2 = nn.LayerNorm(c.hidden_dim, 1e-6)
        self.mlp = nn.Sequential(
            nn.Linear(c.hidden_dim, c.mlp_dim), nn.GELU(), nn.Dropout(c.dropout), nn.Linear(c.mlp_dim, c.hidden_dim),
            nn.Dropout(c.dropout),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        y = self.ln_1(x)
        x = x + self.dropout(self.self_attention(y, y, y, need_weights=False)[0])
        return x + self.mlp(self.ln_2(x))


class _Encoder(nn.Module):
    def __init__(self, c: ViTConfig):
        count = (c.image_size // c.patch_size) ** 2 + 1
        self.pos_embedding = (twain.random.normal((1, count, c.hidden_dim)) * 0.02).requires_grad_()
        self.dropout = nn.Dropout(c.dropout)
        self.layers = nn.Sequential(OrderedDict((f"encoder_layer_{i}", _Block(c)) for i in range(c.num_layers)))
        self.ln = nn.LayerNorm(c.hidden_dim, 1e-6)

    def forward(self, x: Tensor) -> Tensor:
        return self.ln(self.layers(self.dropout(x + self.pos_embedding)))


class VisionTransformer(Pretrained):
    """Images (N, 3, image_size, image_size) -> logits (N, num_classes)."""

    Config = ViTConfig

    def __init__(self, config: ViTConfig | None = None):
        c = self.config = config or ViTConfig()
        if c.image_size % c.patch_size:
            raise ValueError(
                f"[ViT] expected image_size to be a multiple of patch_size={c.patch_size}, got {c.image_size}"
            )
        self.class_token = twain.zeros((1, 1, c.hidden_dim)).requires_grad_()
        self.conv_proj = nn.Conv2d(c.in_channels, c.hidden_dim, c.patch_size, c.patch_size)
        self.encoder = _Encoder(c)
        self.heads = nn.Sequential(OrderedDict(head=nn.Linear(c.hidden_dim, c.num_classes)))

    def forward(self, x: Tensor) -> Tensor:
        c = self.config
        if tuple(x.shape[1:]) != (c.in_channels, c.image_size, c.image_size):
            raise ValueError(
                f"[ViT] expected images (N, {c.in_channels}, {c.image_size}, {c.image_size}), got {tuple(x.shape)}"
            )
        count = (c.image_size // c.patch_size) ** 2
        patches = self.conv_proj(x).reshape((x.shape[0], c.hidden_dim, count)).transpose(1, 2)
        first = twain.broadcast_to(self.class_token, (x.shape[0], 1, c.hidden_dim))
        return self.heads(self.encoder(twain.concat([first, patches], axis=1))[:, 0])


def vit_b_16(num_classes: int = 1000) -> VisionTransformer:
    """86.6 million parameters."""
    return VisionTransformer(ViTConfig(num_classes=num_classes))
