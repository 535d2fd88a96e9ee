"""UCI optical recognition of handwritten digits: 1,797 images of 8x8, the test part of the original collection.

Source: E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository (1998),
doi 10.24432/C50P49, CC BY 4.0; see files/README.md.
"""

from __future__ import annotations

from array import array
from itertools import chain
from pathlib import Path

import twain

from .idx import read_idx
from .split import check_fraction, check_split, stratified

FILES = Path(__file__).parent / "files"
LARGEST = 16  # each pixel counts the set pixels of a 4x4 block


def digits(split: str = "train", *, held_out: float = 0.25, seed: int = 0) -> tuple[twain.Tensor, twain.Tensor]:
    """Handwritten digits as (images, labels).

    Args:
        split: "train", "test" (the held-out part) or "all".
        held_out: the share of each class that is held out.
        seed: which images are held out; the same seed gives the same split everywhere.

    Returns:
        images: float32 [N, 1, 8, 8], values in [0, 1] (0 is paper, 1 is ink);
        labels: int64 [N], values 0..9. With the default split N is 1,347 for "train" and 450 for "test".

    Raises:
        ValueError: for an unknown split or a share outside (0, 1).
    """
    check_split("digits", split)
    check_fraction("digits", held_out)
    (count, height, width), pixels = read_idx(FILES / "digits-images.idx.gz")
    _, labels = read_idx(FILES / "digits-labels.idx.gz")
    train, test = stratified(labels, held_out, seed)
    chosen = {"train": train, "test": test, "all": range(count)}[split]

    size = height * width
    scaled = [value / LARGEST for value in range(LARGEST + 1)]
    kept = chain.from_iterable(pixels[i * size : (i + 1) * size] for i in chosen)
    images = twain.asarray(array("f", map(scaled.__getitem__, kept)))
    return images.reshape(len(chosen), 1, height, width), twain.asarray(array("q", [labels[i] for i in chosen]))
