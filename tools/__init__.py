"""What make and maintainers run."""
