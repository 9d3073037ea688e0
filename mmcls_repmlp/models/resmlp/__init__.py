"""ResMLP (arXiv 2105.03404), with locality injected."""
