"""Read structured labels from reports, join them with those of a table, and audit them."""
