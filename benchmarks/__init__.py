"""Timing of this package beside others, and of its formulations."""
