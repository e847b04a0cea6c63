"""The machinery of a run: configuration, run folder, resume, atomic outputs. Imports no torch."""
