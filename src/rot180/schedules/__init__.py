"""How a program is made fast: rewritings, the schedules made of them, and the choice.

Nothing here knows what a convolution is.
"""

from rot180.schedules._choose import Bound, candidates, schedule, scheduled
from rot180.schedules._elementwise import (
    CHOOSING,
    Pointwise,
    RowWise,
    Step,
    chained,
    pointwise,
    row_wise,
)
from rot180.schedules._interruptible import interruptible
from rot180.schedules._nest import IMAGE, Nest
from rot180.schedules._tile import Tile

__all__ = [
    "CHOOSING",
    "IMAGE",
    "Bound",
    "Nest",
    "Pointwise",
    "RowWise",
    "Step",
    "Tile",
    "candidates",
    "chained",
    "interruptible",
    "pointwise",
    "row_wise",
    "schedule",
    "scheduled",
]
