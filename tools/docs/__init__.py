"""The pages that are made of numbers: `make docs`."""
