"""Several files of detections, or runs, on the same ground truth."""
