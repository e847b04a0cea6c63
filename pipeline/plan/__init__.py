"""The plan of a run before it runs: what can be known without training."""
