"""Data sets and the loader that makes batches of them, deterministic and resumable."""

from ..base.foreign import absent
from .augment import (
    CenterCrop,
    Compose,
    Normalize,
    RandomCrop,
    RandomErasing,
    RandomHorizontalFlip,
    RandomResizedCrop,
    RandomVerticalFlip,
    Resize,
    ToTensor,
)
from .collate import PaddedCollate, collate, default_convert, pad_sequences
from .dataset import (
    ArrayDataset,
    ConcatDataset,
    Dataset,
    MappedDataset,
    StackDataset,
    Subset,
    TensorDataset,
    random_split,
)
from .fetch import WorkerInfo, get_worker_info
from .images import ImageFolder, read_image
from .iterable import ChainDataset, FilteredIterable, GeneratorDataset, IterableDataset, MappedIterable
from .loader import DataLoader
from .sampler import (
    BatchSampler,
    DistributedSampler,
    LengthBucketSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)
from .tables import Column, Table, from_pandas, read_csv

__getattr__ = absent("data")

__all__ = [
    "ArrayDataset",
    "BatchSampler",
    "CenterCrop",
    "ChainDataset",
    "Column",
    "Compose",
    "ConcatDataset",
    "DataLoader",
    "Dataset",
    "DistributedSampler",
    "FilteredIterable",
    "GeneratorDataset",
    "ImageFolder",
    "IterableDataset",
    "LengthBucketSampler",
    "MappedDataset",
    "MappedIterable",
    "Normalize",
    "PaddedCollate",
    "RandomCrop",
    "RandomErasing",
    "RandomHorizontalFlip",
    "RandomResizedCrop",
    "RandomSampler",
    "RandomVerticalFlip",
    "Resize",
    "Sampler",
    "SequentialSampler",
    "StackDataset",
    "Subset",
    "SubsetRandomSampler",
    "Table",
    "TensorDataset",
    "ToTensor",
    "WeightedRandomSampler",
    "WorkerInfo",
    "collate",
    "default_convert",
    "from_pandas",
    "get_worker_info",
    "pad_sequences",
    "random_split",
    "read_csv",
    "read_image",
]
