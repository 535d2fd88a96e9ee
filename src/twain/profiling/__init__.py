"""Where time and memory went: `with twain.profile() as p: ...`, then `print(p)`."""

from .profile import Profile, profile

__all__ = ["Profile", "profile"]
