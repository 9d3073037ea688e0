"""Jobs of the users, each named as its command."""
