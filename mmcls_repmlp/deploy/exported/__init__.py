"""Models in files for other runtimes: written, read and described."""
