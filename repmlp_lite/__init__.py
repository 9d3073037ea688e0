"""What needs neither torch nor a host: console, files, exported models."""
