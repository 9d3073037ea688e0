"""The backbone of arXiv 2112.11081, and what it is made of."""
