"""Faces in, weights out: batches, augmentation, the loop, and how it resumes after a kill."""
