"""The benchmark of the paper on any data."""
