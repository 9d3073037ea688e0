"""Console, files and exported models, without torch and the host."""
