"""Losses by the names of their functions as well as by short ones."""

import pytest

import twain
from twain.nn import functional as F
from twain.train.losses import LOSSES, as_loss


@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "nll_loss", "smooth_l1_loss", "mse", "cross_entropy"])
def test_names(name):
    assert as_loss(name) is LOSSES[name]
    assert name in (as_loss(name).__name__, as_loss(name).__name__.removesuffix("_loss"))


def test_a_model_trains_by_the_functions_name():
    model = twain.Model(twain.nn.Linear(2, 1)) if hasattr(twain, "Model") else twain.train.Model(twain.nn.Linear(2, 1))
    model.compile("sgd", "mse_loss")
    x, y = twain.ones((4, 2)), twain.zeros((4, 1))
    history = model.fit(x, y, epochs=1, batch_size=2, verbose=0)
    assert history is not None
    assert as_loss("mse_loss") is F.mse_loss
