"""TensorBoard event files: scalars, images, histograms and text, written through the optional tensorboardX package."""

from .writer import SummaryWriter

__all__ = ["SummaryWriter"]
