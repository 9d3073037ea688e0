"""Export of a checkpoint for other runtimes."""
