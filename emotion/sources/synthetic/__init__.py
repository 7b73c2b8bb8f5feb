"""Drawn faces: no account, no network, any number."""
