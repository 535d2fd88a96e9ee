"""python -m twain: the command `twain`."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
