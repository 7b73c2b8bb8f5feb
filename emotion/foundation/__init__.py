"""What everything stands on: errors for people, whole files, strict parameters. Every stage depends on it."""
