"""Readers of exported files that run nothing but arithmetic from them."""
