"""Where the votes of several people on each picture come from: one package for each choice of `data.votes`.

Its class `VoteSource` offers `votes(dataset, input_dir, cache_dir) -> Votes | None`: those on the pictures of the data
set, from a file in `data/<source>`.
"""
