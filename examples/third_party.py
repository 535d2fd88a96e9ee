"""Ops that another package brings: it names a module in the entry point group "twain.ops", and users find it there.

The package is made up on the spot; in earnest, its pyproject.toml says

    [project.entry-points."twain.ops"]
    waves = "waves.ops"
"""

import sys
import tempfile
from pathlib import Path

import twain
from twain import extend

MODULE = '''
import twain
from twain import extend


@extend.elementwise(derivatives=lambda x, y: twain.cos(x) * x + twain.sin(x))
def wiggle(k, x):
    """x * sin(x)."""
    return x * k.sin(x)
'''


def install(folder: str) -> None:
    """What pip would do."""
    root = Path(folder)
    (root / "waves").mkdir()
    (root / "waves" / "__init__.py").write_text("")
    (root / "waves" / "ops.py").write_text(MODULE)
    info = root / "waves-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: waves\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[twain.ops]\nwaves = waves.ops\n")
    sys.path.insert(0, folder)


def main() -> float:
    with tempfile.TemporaryDirectory() as folder:
        install(folder)
        try:
            print("found:", dir(extend.ops))
            wiggle = extend.ops.waves.wiggle  # loaded now
            x = twain.linspace(-1, 1, 5)
            slopes = twain.vmap(twain.grad(wiggle))(x)
            print(slopes.tolist())
            return 1.0 - abs(slopes - (twain.cos(x) * x + twain.sin(x))).max().item()
        finally:
            sys.path.remove(folder)


if __name__ == "__main__":
    print(main())
