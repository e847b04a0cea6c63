"""Pre-training without labels: MoSI, the motion of a window that slides over a still picture."""
