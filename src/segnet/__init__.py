"""SegNet: every pixel a class. Importing this does no work."""

__version__ = "0.1.0"
