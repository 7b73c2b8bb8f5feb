"""A stand-in for Kaggle on this machine, and a project that downloads from it."""
