"""Super-resolution of dynamic MRI with prior knowledge."""

__version__ = "0.1.0"
