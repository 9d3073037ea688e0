"""Models for other runtimes: written, compared and quantized."""
