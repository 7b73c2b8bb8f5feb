"""Pictures of a Kaggle data set, downloaded once."""
