"""Transforms of images, random ones among them; names and arguments as in torchvision.transforms.v2.

An image is a NumPy array [height, width] or [height, width, channels], as ImageFolder and `read_image` give it, a Pillow
image, or a Tensor [channels, height, width]; a Tensor [images, channels, height, width] is a batch, for which each image
draws its own numbers. Arrays come back as arrays and tensors as tensors, with their dtype; Pillow images come back as
arrays. Tensors are worked on in NumPy: gradients don't flow through. Full brightness is 255 in uint8 and 1 in floats.

Numbers are drawn from twain's default generator, which a DataLoader sets before each batch: what comes does not depend on
the number of workers, and `twain.random.seed` makes it repeatable elsewhere.
"""

from .base import (
    Compose,
    Lambda,
    Normalize,
    RandomApply,
    RandomChoice,
    RandomOrder,
    ToDtype,
    ToImage,
    ToTensor,
    Transform,
)
from .colours import (
    ColorJitter,
    GaussianBlur,
    Grayscale,
    RandomAdjustSharpness,
    RandomAutocontrast,
    RandomEqualize,
    RandomGrayscale,
    RandomInvert,
    RandomPosterize,
    RandomSolarize,
)
from .crops import (
    CenterCrop,
    Pad,
    RandomCrop,
    RandomErasing,
    RandomHorizontalFlip,
    RandomResizedCrop,
    RandomVerticalFlip,
    Resize,
)
from .mixing import CutMix, MixUp
from .policies import RandAugment, TrivialAugmentWide
from .warps import RandomAffine, RandomPerspective, RandomRotation

__all__ = [
    "CenterCrop",
    "ColorJitter",
    "Compose",
    "CutMix",
    "GaussianBlur",
    "Grayscale",
    "Lambda",
    "MixUp",
    "Normalize",
    "Pad",
    "RandAugment",
    "RandomAdjustSharpness",
    "RandomAffine",
    "RandomApply",
    "RandomAutocontrast",
    "RandomChoice",
    "RandomCrop",
    "RandomEqualize",
    "RandomErasing",
    "RandomGrayscale",
    "RandomHorizontalFlip",
    "RandomInvert",
    "RandomOrder",
    "RandomPerspective",
    "RandomPosterize",
    "RandomResizedCrop",
    "RandomRotation",
    "RandomSolarize",
    "RandomVerticalFlip",
    "Resize",
    "ToDtype",
    "ToImage",
    "ToTensor",
    "Transform",
    "TrivialAugmentWide",
]
