"""Training, with the checks before its first step."""
