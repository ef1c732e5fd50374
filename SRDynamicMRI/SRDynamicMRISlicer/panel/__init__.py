"""What stands in the panel: widgets, and nothing that decides."""
