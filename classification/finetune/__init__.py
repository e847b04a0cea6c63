"""Finetuning of the video model on labelled segments."""
