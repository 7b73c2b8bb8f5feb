"""Where pictures come from: one folder per data source, with a `source.py`.

Its class `Source` holds the parameters under `data.<source>`, and offers `dataset(input_dir, cache_dir) -> Dataset`
(`emotion.dataset.archive.faces`): the pictures in `data/<source>`, not yet read. What must be kept between runs, such
as an unfinished download, lies in `cache_dir`.
"""
