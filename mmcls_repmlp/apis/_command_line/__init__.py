"""Arguments in, one sentence and an exit code out."""
