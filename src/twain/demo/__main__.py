"""python -m twain.demo [text [sentence ...]] [--eager] [--epochs N] [--seed N] [--out DIR]"""

import sys

from .command import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
