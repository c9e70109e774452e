"""Recall at 1 of retrieval."""

from radscale_lib.metrics.base import RecallMetric

METRIC = RecallMetric(name="recall_at_1", title="recall@1", at=1)
