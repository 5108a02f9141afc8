"""What every op means, in NumPy: plain, slow, and independent of how it is compiled."""

from rot180.reference._evaluate import evaluate

__all__ = ["evaluate"]
