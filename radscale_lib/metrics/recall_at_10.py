"""Recall at 10 of retrieval."""

from radscale_lib.metrics.base import RecallMetric

METRIC = RecallMetric(name="recall_at_10", title="recall@10", at=10)
