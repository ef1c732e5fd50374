"""Networks: the super-resolution U-Net, the one for speed, and the vessel U-Net of the perceptual loss."""
