"""Everything public tells what it is and how it is called."""

import inspect
import types

import pytest

import twain

PUBLIC = [name for name in dir(twain) if not name.startswith("_") and callable(getattr(twain, name))]


@pytest.mark.parametrize("name", PUBLIC)
def test_public_functions_explain_themselves(name):
    found = getattr(twain, name)
    assert (found.__doc__ or "").strip(), f"twain.{name} has no docstring"
    if isinstance(found, (twain.add.__class__, types.FunctionType)):
        inspect.signature(found)


def test_signatures_of_ops_name_operands_and_settings():
    assert str(inspect.signature(twain.sum)) == "(x, axis=None, keepdims=False, dtype=None)"
    assert str(inspect.signature(twain.where)) == "(condition, x1, x2)"
    assert "float32" in twain.exp.__doc__


def test_a_wrong_keyword_is_answered_with_the_signature():
    """The commonest slip of those who know PyTorch."""
    with pytest.raises(
        TypeError, match=r"^\[sum\] got an unexpected keyword argument 'dim'; expected sum\(x, axis=None"
    ):
        twain.ones((2,)).sum(dim=0)
    with pytest.raises(TypeError, match=r"^\[softmax\] got an unexpected keyword argument 'dim'"):
        twain.softmax(twain.ones((2,)), dim=0)
