"""Where the votes of several people on each picture come from: one package for each choice of `data.votes`."""
