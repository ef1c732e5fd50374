"""The parts of the Slicer module: what knows neither Qt nor MRML, what works on a scene, and what Slicer alone has."""
