"""The TFRecords of a split: writing them, and reading their pixels where they lie."""
