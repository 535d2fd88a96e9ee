"""Data sets and the loader that makes batches of them, deterministic and resumable."""

from .collate import PaddedCollate, collate, pad_sequences
from .dataset import ArrayDataset, ConcatDataset, Dataset, MappedDataset, Subset, TensorDataset, random_split
from .loader import DataLoader
from .sampler import RandomSampler, Sampler, SequentialSampler

__all__ = [
    "ArrayDataset",
    "ConcatDataset",
    "DataLoader",
    "Dataset",
    "MappedDataset",
    "PaddedCollate",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "Subset",
    "TensorDataset",
    "collate",
    "pad_sequences",
    "random_split",
]
