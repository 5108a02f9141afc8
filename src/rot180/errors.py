"""The exceptions of rot180: one tree, each also the built-in kind it belongs to."""

__all__ = [
    "ArgumentError",
    "CompileError",
    "DTypeError",
    "DataError",
    "DivergenceError",
    "InternalError",
    "MissingPackageError",
    "NotationError",
    "Rot180Error",
    "ScheduleError",
    "ShapeError",
    "TraceError",
]


class Rot180Error(Exception):
    """The root of every exception that rot180 raises on purpose.

    Attributes:
        layer: Where in a network it was raised, such as `3.conv`, or empty.
        kind: What stands there, such as `Conv2d(1, 4, 3)`.
    """

    layer = ""
    kind = ""

    def within(self, name: str, kind: str) -> None:
        """Notes that it was raised inside the module `name` of another."""
        self.layer = f"{name}.{self.layer}" if self.layer else name
        self.kind = self.kind or kind

    def __str__(self) -> str:
        text = super().__str__()
        return f"{text}\n  In layer {self.layer}, {self.kind}." if self.layer else text


class NotationError(Rot180Error, ValueError):
    """A formula that cannot be read, or an operation it does not admit."""


class ShapeError(Rot180Error, ValueError):
    """Operands whose shapes do not fit each other or the operation."""


class DTypeError(Rot180Error, TypeError):
    """Operands whose element types differ or are not supported."""


class ArgumentError(Rot180Error, ValueError):
    """An argument outside what the operation accepts, such as a stride of 0."""


class ScheduleError(Rot180Error, ValueError):
    """A rewriting that does not apply to the program it was given."""


class TraceError(Rot180Error, TypeError):
    """A traced tensor used where only its values would do, or outside its trace."""


class CompileError(Rot180Error, RuntimeError):
    """A kernel that could not be compiled or loaded on this machine."""


class DataError(Rot180Error, ValueError):
    """A file or data set that is missing, damaged or of another format."""


class DivergenceError(Rot180Error, ArithmeticError):
    """Training whose loss or weights are no longer finite."""


class MissingPackageError(Rot180Error, ImportError):
    """An optional package that is needed and not installed."""


class InternalError(Rot180Error, RuntimeError):
    """A fault of rot180 itself; please report it."""
