"""The version of this package; nothing else, so that a build can read it."""

__version__ = "0.1.0"
