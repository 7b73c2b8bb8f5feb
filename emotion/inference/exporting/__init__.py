"""Other files of a trained model: for other runtimes, and one of several. Needs the `pipeline` extra."""
