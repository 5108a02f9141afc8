"""Right or wrong: the oracle, the laws, what a subject has, and what was counted."""

from rot180.check.judge._arithmetic import arithmetic_of
from rot180.check.judge._failure import Diagnosis, Failure, Finding, Reason
from rot180.check.judge._judge import Judge
from rot180.check.judge._ledger import Ledger, Seen, Tally, way
from rot180.check.judge._nonsense import accepted_nonsense
from rot180.check.judge._oracle import arguments, op_of, output_size, too_large
from rot180.check.judge._survey import Survey

__all__ = [
    "Diagnosis",
    "Failure",
    "Finding",
    "Judge",
    "Ledger",
    "Reason",
    "Seen",
    "Survey",
    "Tally",
    "accepted_nonsense",
    "arguments",
    "arithmetic_of",
    "op_of",
    "output_size",
    "too_large",
    "way",
]
