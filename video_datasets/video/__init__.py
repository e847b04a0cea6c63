"""Video files: reading, decoding, clips."""
