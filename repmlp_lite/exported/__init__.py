"""Exported models: described by a card, read, and run."""
