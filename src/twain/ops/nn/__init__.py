"""What neural networks are made of: activations, losses, normalisation, the affine map, optimizer updates."""
