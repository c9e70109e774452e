"""Evaluation of frozen encoders: tasks, metrics, intervals and the table of scores."""
