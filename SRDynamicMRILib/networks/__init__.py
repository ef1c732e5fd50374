"""Networks: the super-resolution U-Net and the vessel U-Net of the perceptual loss."""
