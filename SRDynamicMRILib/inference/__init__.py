"""Super-resolution of volumes and series."""
