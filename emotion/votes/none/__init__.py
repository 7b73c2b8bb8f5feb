"""No votes: the folders alone say what a picture shows."""
