"""One file per network, chosen by `model.network`; each has a class `Network` (its parameters) with `logits()`."""
