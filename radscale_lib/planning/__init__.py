"""Stage ids, the plan and the progress line: what would run, why, and what it costs."""
