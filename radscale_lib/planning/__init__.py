"""Stage ids, and the requirements and costs of each stage."""
