"""How every stage begins and ends: pins, parameters, errors, and a check that nothing changed meanwhile."""
