"""The planning scan made ready for a series."""
