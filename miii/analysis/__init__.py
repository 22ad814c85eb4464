"""What a network learned: each analysis takes values and returns a small frozen dataclass."""

from miii.analysis import attention, fourier

__all__ = ["attention", "fourier"]
