"""The one kind of error that is meant for the person who runs the project."""


class UserError(Exception):
    """Something the user can mend; the message says what happened, what was expected and how to fix it."""
