"""What users of PyTorch write first: the message says what it is here."""

import pytest

import twain
from twain import nn

X = twain.ones((2, 3))


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: twain.tensor([1, 2]), r"torch\.tensor is twain\.asarray"),
        (lambda: X.sum(dim=1), r"expected sum\(x, axis=.*PyTorch's dim is axis"),
        (lambda: X.mean(axis=1, keepdim=True), "keepdim is keepdims"),
        (lambda: nn.functional.softmax(X, dim=1), "dim is axis"),
        (lambda: nn.ReLU(X), r"write nn\.ReLU\(\)\(x\)"),
        (lambda: nn.Sequential([nn.ReLU()]), r"Sequential\(\*layers\)"),
        (lambda: twain.io.save(nn.ReLU(), "file"), "a path first"),
    ],
)
def test_messages(call, message):
    with pytest.raises(TypeError, match=message):
        call()


@pytest.mark.parametrize("bad", [-0.1, 1.5, float("nan"), float("inf")])
def test_cross_entropy_of_what_is_no_probability(bad):
    loss = nn.BCELoss()
    assert loss(twain.asarray([0.0, 1.0]), twain.asarray([0.0, 1.0])).item() == 0
    with pytest.raises(ValueError, match=r"binary_cross_entropy\] expected input in \[0, 1\], got .*_with_logits"):
        loss(twain.asarray([0.5, bad]), twain.asarray([0.0, 1.0]))
