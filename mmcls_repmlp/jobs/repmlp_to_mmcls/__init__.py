"""Conversion of official checkpoints, both ways."""
