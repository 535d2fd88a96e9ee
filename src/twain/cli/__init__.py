"""The command `twain`: `twain info` shows what it runs on, `twain train digits` trains a network."""

from .command import main

__all__ = ["main"]
