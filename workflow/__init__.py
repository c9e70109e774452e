"""The workflow part of radscale: its rules, plan, journal, lock and progress line."""
