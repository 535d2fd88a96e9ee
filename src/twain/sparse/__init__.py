"""Sparse tensors: coordinates (COO) and compressed rows (CSR), their products with dense tensors, and gradients."""

from .coo import SparseTensor, from_dense
from .csr import SparseRows
from .functions import addmm, eye, from_scipy, log_softmax, mm, sampled_addmm, softmax, spdiags, sum, to_scipy

__all__ = [
    "SparseRows", "SparseTensor", "addmm", "eye", "from_dense", "from_scipy", "log_softmax", "mm", "sampled_addmm",
    "softmax", "spdiags", "sum", "to_scipy",
]  # fmt: skip
