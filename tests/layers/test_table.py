"""Every layer of `nn` through the checks of its declaration in `twain.testing.layers`."""

import pytest

from twain.testing import layers


@pytest.mark.parametrize("check", layers.CHECKS)
@pytest.mark.parametrize("number", range(len(layers.CASES)), ids=[str(c).split(" at 0x")[0] for c in layers.CASES])
def test_layer(number, check):
    case = layers.CASES[number]
    if check == "gradient" and not case.smooth:
        pytest.skip("the slope is drawn")
    layers.CHECKS[check](case)


def test_every_layer_is_declared():
    declared = {case.name for case in layers.CASES} | set(layers.OTHERWISE)
    assert sorted(set(layers.layer_classes()) - declared) == []
    assert sorted(declared - set(layers.layer_classes())) == []


def test_every_layer_refuses_something():
    """Of the layers with arguments or shapes of their own, at least half state a refusal."""
    stated = {case.name for case in layers.CASES if case.errors}
    assert len(stated) * 2 > len({case.name for case in layers.CASES})
