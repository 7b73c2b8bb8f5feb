"""One module per subcommand of `emotion`, listed in emotion/cli.py."""
