"""Images to train on, split once and for all into a training and a test part."""

from rot180.train.data._batches import batches, check_batch_size
from rot180.train.data._datasets import Dataset, digits, mnist5k

__all__ = ["Dataset", "batches", "check_batch_size", "digits", "mnist5k"]
