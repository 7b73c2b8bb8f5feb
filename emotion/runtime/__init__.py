"""What a process needs to compute the same bits as another: pins, processors, processes."""
