"""Where pictures come from: one folder per data source, with a `source.py`."""
