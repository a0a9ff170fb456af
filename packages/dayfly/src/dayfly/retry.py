"""How long to wait before something is tried again."""

from dataclasses import dataclass, field
from random import Random

__all__ = ["RetryPolicy"]

_WISH_MAX_S = 3600.0


@dataclass(frozen=True)
class RetryPolicy:
    """Exponential delay with jitter, apart from the length of a lease.

    Attributes:
        first_s: the delay after the first try, before jitter; above 0.
        max_s: the longest delay, before jitter.
        random: a source of numbers in [0, 1).
    """

    first_s: float = 10.0
    max_s: float = 240.0
    random: Random = field(default_factory=Random, repr=False)

    def delay_s(self, tries: int, at_least_s: float | None = None) -> float:
        """Seconds to wait after so many tries (1 or more).

        Args:
            tries: how often it was tried.
            at_least_s: what a service asked for (`Retry-After`), honoured up to an hour: a message that is
                hidden for longer might not come back before it expires; None = nothing.
        """
        grown = min(self.max_s, self.first_s * 2.0 ** min(max(tries, 1) - 1, 30))
        jittered = grown * (0.75 + 0.5 * self.random.random())
        return max(jittered, min(at_least_s or 0.0, _WISH_MAX_S))
