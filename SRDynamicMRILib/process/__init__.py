"""The process that computes: devices, threads, its peers under ``torchrun``, streams and signals."""
