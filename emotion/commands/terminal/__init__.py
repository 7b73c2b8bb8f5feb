"""What the subcommands share: their options, the bar on a terminal, and lines on stderr."""
