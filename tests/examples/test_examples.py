"""Every example runs, and learns."""

import importlib.util

import pytest

TRAINING = ["own_loop", "fit", "functional_graph", "text", "own_parts", "own_op"]
EXTENDING = ["python_callback", "c_function", "c_extension", "third_party"]


@pytest.mark.parametrize("name", TRAINING + EXTENDING)
def test_example(root, name, capsys):
    spec = importlib.util.spec_from_file_location(f"example_{name}", root / "examples" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.main() > 0.85
    assert capsys.readouterr().out
