"""What a data set is: its archive, labels, pictures, copies, splits and records."""
