"""Sides of a comparison, each in a separate process; see ``benchmarks.sides.worker``."""
