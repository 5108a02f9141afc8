"""Images to train on, split once and for all into a training and a test part."""

from rot180.train.data._batches import batches
from rot180.train.data._datasets import Dataset, digits, mnist5k

__all__ = ["Dataset", "batches", "digits", "mnist5k"]
