"""The canonical archive of face images: writing it, listing it, reading it."""
