"""The workflow's side of radscale: its rules, plan, journal, lock and progress line."""
