"""The block of arXiv 2105.01883, and the backbones built of it."""
