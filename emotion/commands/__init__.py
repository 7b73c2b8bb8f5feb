"""The subcommands of `emotion`, which emotion/cli.py lists, and in terminal/ what they share."""
