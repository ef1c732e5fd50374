"""The module's self-test, which Slicer runs."""
