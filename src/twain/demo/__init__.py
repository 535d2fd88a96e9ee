"""The demo: `python -m twain.demo` trains on handwritten digits, `python -m twain.demo text` tells languages apart."""
