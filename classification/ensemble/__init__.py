"""Several networks or runs as one: the means of what they say."""
