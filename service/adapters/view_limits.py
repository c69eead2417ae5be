"""What every store of the view keeps and what it leaves out: pure rules, one for all stores."""

from __future__ import annotations

from service.domain.time import DAY, rfc3339

# Beyond these a place is on no Mercator map, and the geographic index of Redis refuses it.
_MOST_LATITUDE = 85.05112878
_MOST_LONGITUDE = 180.0


def on_the_map(coordinates: tuple[float, float] | None) -> tuple[float, float] | None:
    """Give (longitude, latitude) in degrees if the list by place can hold it."""
    if coordinates is None:
        return None
    longitude, latitude = coordinates
    if abs(longitude) > _MOST_LONGITUDE or abs(latitude) > _MOST_LATITUDE:
        return None
    return coordinates


def pruning_day(keep_from_us: int) -> tuple[int, str]:
    """
    Give the start of the UTC day of `keep_from_us`, as microseconds and as a date.

    What starts before it is deleted. Whole days, so that an EVSE is searched once a day.
    """
    start = keep_from_us - keep_from_us % DAY
    return start, rfc3339(start)[:10]
