"""The cards that are made from numbers: `python -m docs.cards`."""
