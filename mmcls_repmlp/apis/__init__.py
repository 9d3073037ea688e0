"""The users' jobs, one call each; the tools are a door to them."""
