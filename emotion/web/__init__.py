"""The web page of `emotion app`."""
