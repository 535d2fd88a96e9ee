"""What is remembered of prepared calls belongs to the op it was made for."""

import gc

import twain
from twain.ir.op import REGISTRY
from twain.ops.families import unary


def test_an_op_gets_no_kernel_of_one_that_is_gone():
    """The core may hand the number of a dead op to the next one; the kernels of the first must not come with it."""
    x = twain.ones((5,))
    try:
        first = unary("first_of_two", lambda k, x: x + 1.0)
        assert first(x).tolist() == [2.0] * 5
        del first
        gc.collect()
        second = unary("second_of_two", lambda k, x: x * 7.0)
        assert second(x).tolist() == [7.0] * 5
        assert second(twain.ones((6,))).tolist() == [7.0] * 6
    finally:
        REGISTRY.pop("first_of_two", None)
        REGISTRY.pop("second_of_two", None)
