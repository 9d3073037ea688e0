"""Class activation maps of images."""
