"""Helpers shared by jobs: configs, data, models, classes, pictures."""
