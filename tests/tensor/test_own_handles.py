"""Results of functions are tensors of their own: writing to one never reaches an operand, also where nothing was to do."""

import pytest

import twain

FUNCTIONS = {
    "astype": lambda x: x.astype("float32"),
    "clip": lambda x: x.clip(),
    "roll by nothing": lambda x: x.roll(0, axis=0),
    "roll by the size": lambda x: x.roll(3),
    "reshape": lambda x: x.reshape((3,)),
    "flatten": lambda x: x.flatten(),
    "transpose": lambda x: x.T,
    "squeeze": lambda x: x.squeeze(),
    "broadcast_to": lambda x: x.broadcast_to((3,)),
    "flip along nothing": lambda x: x.flip(axis=()),
    "concat of one": lambda x: twain.concat([x]),
    "positive": lambda x: +x,
    "detach": lambda x: x.detach(),
    "index": lambda x: x[...],
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_result_is_a_handle_of_its_own(name):
    x = twain.asarray([1.0, 2.0, 3.0])
    y = FUNCTIONS[name](x)
    assert y is not x
    y[0] = 9.0
    assert x.tolist() == [1.0, 2.0, 3.0]
    x[1] = 8.0
    assert y.tolist() == [9.0, 2.0, 3.0]


def test_astype_without_a_copy_gives_the_tensor_itself():
    x = twain.asarray([1.0])
    assert x.astype("float32", copy=False) is x
    assert x.to("float32") is x


def test_gradients_pass_through_an_astype_that_does_nothing():
    x = twain.asarray([1.0, 2.0]).requires_grad_()
    (x.astype("float32") * 3.0).sum().backward()
    assert x.grad.tolist() == [3.0, 3.0]
