"""The table of what is loaded when first used says what the modules hold."""

import importlib
import importlib.util
import inspect
import operator
import re
import subprocess
import sys

import pytest

import twain
from twain import exports
from twain.base import foreign


@pytest.mark.parametrize("module", sorted(exports.FUNCTIONS))
def test_every_name_is_there(module):
    found = importlib.import_module(module)
    for name in exports.FUNCTIONS[module].split():
        assert callable(getattr(found, name)), f"{module}.{name}"
        assert getattr(twain, name) is getattr(found, name)


def test_no_name_is_given_twice():
    names = [name for listed in exports.FUNCTIONS.values() for name in listed.split()]
    assert sorted(set(names)) == sorted(names)
    assert set(exports.ROOMS).isdisjoint(names)


def test_methods_are_functions():
    assert set(exports.METHODS) <= set(exports.MODULE_OF)


def test_stub_lists_them(root):
    specification = importlib.util.spec_from_file_location("make_exported", root / "tools" / "make_exported.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    assert module.TARGET.read_text() == module.text(), "run python tools/make_exported.py"


def test_unknown_name():
    with pytest.raises(AttributeError, match="module 'twain' has no attribute 'no_such_function'"):
        _ = twain.no_such_function


@pytest.mark.parametrize(
    "name, hint",
    [
        ("randn", r"PyTorch's torch.randn is twain.random.normal here"),
        ("manual_seed", "is twain.random.seed here"),
        ("cat", "torch.cat is twain.concat here"),
        ("reduce_sum", "TensorFlow's tf.reduce_sum is twain.sum here"),
    ],
)
def test_names_of_others_are_answered_with_ours(name, hint):
    with pytest.raises(AttributeError, match=f"no attribute '{name}'; .*{hint}"):
        getattr(twain, name)


@pytest.mark.parametrize(
    "name, hint",
    [
        ("clone", "tensors are values"),
        ("numel", "`x.size`"),
        ("softmax", r"`twain.softmax\(x, ...\)`"),
        ("cumsum", "`twain.cumulative_sum"),
        ("add_", r"`x = twain.add\(x, ...\)`.*`x.assign"),
        ("zero_", "x.assign"),
    ],
)
def test_methods_of_others_are_answered_with_ours(name, hint):
    x = twain.ones((2,))
    with pytest.raises(AttributeError, match=f"'Tensor' object has no attribute '{name}'; .*{hint}"):
        getattr(x, name)
    assert not hasattr(type(x), name) and not hasattr(x, name)


@pytest.mark.parametrize("room", sorted(foreign.ROOMS))
def test_rooms_answer_names_of_others(room):
    module = getattr(twain, room)
    for name, instead in foreign.ROOMS[room].items():
        with pytest.raises(AttributeError, match=f"no attribute '{name}'; here it is {re.escape(instead)}"):
            getattr(module, name)
        for found in re.findall(r"(?:train|data|nn|optim|twain)\.[\w.]*\w", instead):
            assert operator.attrgetter(found.removeprefix("twain."))(twain)
    with pytest.raises(AttributeError, match=r"no attribute 'nonsense'$"):
        _ = module.nonsense


def test_the_table_of_names_lists_what_is_there():
    for ours, _ in foreign._read().values():
        assert operator.attrgetter(ours)(twain) is not None


def test_hints_are_for_what_we_lack_and_name_what_we_have():
    x = twain.ones((2,))
    for name in (*foreign.METHODS, *(f"{name}_" for name in foreign.IN_PLACE)):
        with pytest.raises(AttributeError):
            getattr(x, name)
        for found in re.findall(r"twain\.([\w.]+)", foreign.method_hint(name, lambda name: hasattr(twain, name))):
            assert operator.attrgetter(found)(twain)


def test_public_functions_say_what_they_do():
    silent = [name for name in exports.MODULE_OF if not inspect.getdoc(getattr(twain, name))]
    assert silent == []


def test_loading_is_no_effect_of_a_recording():
    """A fresh process: the first use of a name inside a compiled function loads its module and is recorded."""
    code = """if True:
        import sys, twain
        @twain.compile
        def f(x):
            return twain.softmax(x)
        assert "twain.nn.functional" not in sys.modules
        x = twain.asarray([1.0, 2.0])
        for _ in range(3):
            f(x)
        assert f.hits == 1 and not f.failures, f.explain()
    """
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
