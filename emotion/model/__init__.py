"""What one finished model is: its file, what travels with it, its calibration."""
