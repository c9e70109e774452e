"""Labels: structured labels read from reports, joined with those of a table, and audited."""
