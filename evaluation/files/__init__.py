"""Files of ground truth and predictions: protocols, rules, checks."""
