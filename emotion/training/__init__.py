"""Faces in, weights out: batches, augmentation, the loop, and how it goes on after a kill."""
