"""Facial-emotion recognition: the library that the stages are made of and that the `emotion` command uses."""
