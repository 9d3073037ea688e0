"""What importing this package checks, and changes in its host."""
