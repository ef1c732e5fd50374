"""Files: images and series of every format, their sidecars, and writing that is whole or not at all."""
