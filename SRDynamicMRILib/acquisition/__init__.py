"""What a scanner measures of an image: k-space, resampling by way of it, and consistency with it."""
