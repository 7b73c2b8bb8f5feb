"""What several test modules share: tiny data, tiny trainings, stand-ins."""
