"""Series side by side in Slicer's slice views."""
