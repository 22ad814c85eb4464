"""Side-by-side measurements of miii, run by one command: ``python -m benchmarks``."""
