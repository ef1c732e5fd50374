"""What Qt and Slicer's application give: processes, timers, settings, keys."""
