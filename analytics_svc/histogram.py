"""A histogram of durations whose buckets grow by a factor, for medians that can be added up.

The scheme of DDSketch (Masson, Rim, Lee, VLDB 2019) with the bucket of a duration as an exact
count in a table: bucket k > 0 holds (GROWTH^(k-2), GROWTH^(k-1)] seconds, bucket 0 less than one.
"""

import math

# The share by which a median may be off, beside which stands: or by a second, whatever is more.
MEDIAN_ERROR = 0.01
GROWTH = (1 + MEDIAN_ERROR) / (1 - MEDIAN_ERROR)
LN_GROWTH = math.log(GROWTH)


def seconds_in(bucket: int) -> float:
    """Return the duration that is at most MEDIAN_ERROR away from each in the bucket."""
    return 2 * GROWTH ** (bucket - 1) / (GROWTH + 1) if bucket else 0.0
