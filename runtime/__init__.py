"""What every stage stands on: configuration, run folder, resume, atomic outputs. Imports no torch."""
