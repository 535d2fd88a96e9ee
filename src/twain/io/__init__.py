"""Files: safetensors and checkpoints, written whole or not at all, read without trusting a byte."""

from .checkpoint import load, load_metadata, restore, save
from .safetensors import SafetensorsFile, TensorInfo, load_file, save_file

__all__ = [
    "SafetensorsFile",
    "TensorInfo",
    "load",
    "load_file",
    "load_metadata",
    "restore",
    "save",
    "save_file",
]
