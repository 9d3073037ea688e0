"""Backbone of arXiv 2112.11081 and its parts."""
