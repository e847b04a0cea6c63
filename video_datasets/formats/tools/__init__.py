"""Labelling tools: one reader and writer a file, the record that they share, and the table of
all of them."""
