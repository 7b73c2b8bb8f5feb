"""One file per data source, chosen by `data.source`; each has a class `Source` (its parameters) with `dataset()`."""
