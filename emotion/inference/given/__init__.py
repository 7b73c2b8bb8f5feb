"""What the caller says of the pictures: where the faces are, how frequent the labels, which of them are one."""
