"""FER+: ten votes for each picture of FER2013."""
