"""Testing of a checkpoint, with its metrics and pictures."""
