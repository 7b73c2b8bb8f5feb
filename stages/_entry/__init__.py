"""How every stage begins and ends: pins, parameters, errors, and that nothing changed meanwhile."""
