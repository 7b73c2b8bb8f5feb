"""Votes on one's own pictures, from a table beside them."""
