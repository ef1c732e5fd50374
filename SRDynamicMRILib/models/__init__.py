"""Models: networks with what is known about them, as files and as recipes."""
