"""Numbers in, pictures and one page out."""
