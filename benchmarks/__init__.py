"""Benchmark miii: ``python -m benchmarks``."""
