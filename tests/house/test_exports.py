"""The table of what is loaded when first used says what the modules hold."""

import importlib
import importlib.util
import inspect
import subprocess
import sys

import pytest

import twain
from twain import exports


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
