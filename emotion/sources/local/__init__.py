"""Pictures that somebody brought: a zip, a folder or a CSV."""
