"""MNIST, Fashion-MNIST, CIFAR-10 and CIFAR-100, read from their published files.

Sources: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits"; H. Xiao, K. Rasul, R. Vollgraf,
"Fashion-MNIST", arXiv:1708.07747; A. Krizhevsky, "Learning multiple layers of features from tiny images" (2009), binary
versions and checksums from https://www.cs.toronto.edu/~kriz/cifar.html. MNIST's checksums are those of its .gz files.
"""

from __future__ import annotations

import os
import tarfile
from array import array
from pathlib import Path

import twain

from .download import obtain
from .idx import read_idx

Pair = tuple[twain.Tensor, twain.Tensor]

_MNIST = ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/")
_FASHION = ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",)
_CIFAR = "https://www.cs.toronto.edu/~kriz/"
IDX_FILES = {
    ("mnist", "train"): (
        ("train-images-idx3-ubyte.gz", "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
        ("train-labels-idx1-ubyte.gz", "d53e105ee54ea40749a09fcbcd1e9432"),
    ),
    ("mnist", "test"): (
        ("t10k-images-idx3-ubyte.gz", "9fb629c4189551a2d022fa330f9573f3"),
        ("t10k-labels-idx1-ubyte.gz", "ec29112dd5afa0611ce80d1b7f02629c"),
    ),
    ("fashion_mnist", "train"): (
        ("train-images-idx3-ubyte.gz", "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
        ("train-labels-idx1-ubyte.gz", "25c81989df183df01b3e8a0aad5dffbe"),
    ),
    ("fashion_mnist", "test"): (
        ("t10k-images-idx3-ubyte.gz", "bef4ecab320f06d8554ea6380940ec79"),
        ("t10k-labels-idx1-ubyte.gz", "bb300cfdad3c16e7a12a480ee83cd310"),
    ),
}
CIFAR_FILES = {
    10: ("cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530", "cifar-10-batches-bin"),
    100: ("cifar-100-binary.tar.gz", "03b5dce01913d631647c71ecec9e9cb8", "cifar-100-binary"),
}
CIFAR_PIXELS = 3 * 32 * 32


def _split(function: str, split: str) -> None:
    if split not in ("train", "test"):
        raise ValueError(f"[{function}] expected split to be 'train' or 'test', got {split!r}")


def _tensors(function: str, shape: tuple[int, ...], pixels: bytes, labels: bytes) -> Pair:
    if len(labels) != shape[0]:
        raise ValueError(f"[{function}] expected a label for each of {shape[0]} images, got {len(labels)}")
    images = twain.asarray(memoryview(pixels)).reshape(*shape).astype(twain.float32) / 255.0
    return images, twain.asarray(array("q", list(labels)))


def _idx(function: str, split: str, folder: str | os.PathLike[str] | None, bases: tuple[str, ...]) -> Pair:
    _split(function, split)
    paths = [
        obtain(name, [base + name for base in bases], md5, folder, function) for name, md5 in IDX_FILES[function, split]
    ]
    shape, pixels = read_idx(paths[0])
    _, labels = read_idx(paths[1])
    if len(shape) != 3:
        raise ValueError(f"[{function}] {paths[0]}: expected images of shape (N, height, width), got {shape}")
    return _tensors(function, (shape[0], 1, *shape[1:]), pixels, labels)


def mnist(split: str = "train", *, folder: str | os.PathLike[str] | None = None) -> Pair:
    """Handwritten digits: (images float32 [N, 1, 28, 28] in [0, 1], labels int64 [N]), 60,000 for training, 10,000 for test.

    The .gz files come from `folder` (unpacked ones will do), else from the cache (TWAIN_DATA, default ~/.cache/twain/data),
    else from the network.

    Raises:
        OSError: when they can be had nowhere; says what to do.
        ValueError: for a file that is not in the IDX format.
    """
    return _idx("mnist", split, folder, _MNIST)


def fashion_mnist(split: str = "train", *, folder: str | os.PathLike[str] | None = None) -> Pair:
    """Pictures of clothes in ten classes, in MNIST's format: see `mnist`."""
    return _idx("fashion_mnist", split, folder, _FASHION)


def _cifar(classes: int, split: str, folder: str | os.PathLike[str] | None, label_byte: int, label_bytes: int) -> Pair:
    function = f"cifar{classes}"
    _split(function, split)
    archive, md5, inner = CIFAR_FILES[classes]
    if split == "test":
        wanted = ["test_batch.bin" if classes == 10 else "test.bin"]
    else:
        wanted = [f"data_batch_{n}.bin" for n in range(1, 6)] if classes == 10 else ["train.bin"]
    contents = None
    if folder is not None:
        for place in (Path(folder), Path(folder) / inner):
            if all((place / name).exists() for name in wanted):
                contents = [(place / name).read_bytes() for name in wanted]
                break
    if contents is None:
        path = obtain(archive, [_CIFAR + archive], md5, folder, function)
        try:
            with tarfile.open(path, "r:gz") as tar:  # members are read, nothing is unpacked to the disk
                contents = []
                for name in wanted:
                    member = tar.extractfile(f"{inner}/{name}")
                    contents.append(member.read() if member is not None else b"")
        except (tarfile.TarError, EOFError, KeyError, OSError) as error:
            raise ValueError(f"[{function}] {path}: expected an archive with {', '.join(wanted)}: {error}") from error
    record = label_bytes + CIFAR_PIXELS
    for name, content in zip(wanted, contents, strict=True):
        if not content or len(content) % record:
            raise ValueError(
                f"[{function}] {name}: expected records of {record} bytes, got {len(content)} bytes: truncated?"
            )
    rows = b"".join(contents)
    count = len(rows) // record
    labels = rows[label_byte::record]
    if max(labels) >= classes:
        raise ValueError(f"[{function}] expected labels below {classes}, got {max(labels)}: not the binary version?")
    whole = twain.asarray(memoryview(rows)).reshape(count, record)
    images = whole[:, label_bytes:].reshape(count, 3, 32, 32).astype(twain.float32) / 255.0
    return images, twain.asarray(array("q", list(labels)))


def cifar10(split: str = "train", *, folder: str | os.PathLike[str] | None = None) -> Pair:
    """Small photographs: (images float32 [N, 3, 32, 32] in [0, 1], labels int64 [N]), 50,000 for training, 10,000 for test.

    Reads the binary version, which holds no code: its archive or the unpacked .bin files in `folder`; else as `mnist`.
    """
    return _cifar(10, split, folder, 0, 1)


def cifar100(split: str = "train", *, folder: str | os.PathLike[str] | None = None, coarse: bool = False) -> Pair:
    """As `cifar10`, with 100 classes, or their 20 superclasses with coarse=True."""
    return _cifar(100, split, folder, 0 if coarse else 1, 2)
