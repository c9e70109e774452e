"""Stage ids, and the needs and costs of each stage."""
