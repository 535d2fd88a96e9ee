"""The same leaves for both frameworks, and results and gradients compared."""

import numpy as np
import torch

import twain


def both(array, grad=True):
    """The same values as a twain and as a torch leaf."""
    ours, theirs = twain.asarray(array), torch.tensor(array)
    if grad and array.dtype.kind == "f":
        ours.requires_grad_()
        theirs.requires_grad_()
    return ours, theirs


def close(ours, theirs, rtol=2e-5, atol=2e-6):
    theirs = theirs.detach().numpy()
    assert tuple(ours.shape) == theirs.shape
    np.testing.assert_allclose(ours.detach().numpy(), theirs, rtol=rtol, atol=atol)


def compare(ours, theirs, leaves, rng, **tolerance):
    """Results, and gradients of a random projection of them."""
    close(ours, theirs, **tolerance)
    weights = rng.standard_normal(theirs.shape).astype(theirs.detach().numpy().dtype)
    (ours * twain.asarray(weights)).sum().backward()
    (theirs * torch.tensor(weights)).sum().backward()
    for a, b in leaves:
        if b.requires_grad:
            assert a.grad is not None
            close(a.grad, b.grad, **tolerance)
