"""Configurations that come with the project, one YAML a run."""
