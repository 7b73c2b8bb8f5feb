"""The subcommands of `emotion`, which emotion/cli.py lists, and the options and the progress bar that they share."""
