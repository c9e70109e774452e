"""Recall at 5 of retrieval."""

from radscale_lib.metrics.base import RecallMetric

METRIC = RecallMetric(name="recall_at_5", title="recall@5", at=5)
