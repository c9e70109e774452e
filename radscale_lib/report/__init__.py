"""Figures, tables of what they plot, and the report."""
