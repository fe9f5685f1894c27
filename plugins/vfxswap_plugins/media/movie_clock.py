"""When the frames of a delivery are shown: as in the plate, or from zero if the delivery begins later."""

from __future__ import annotations

from fractions import Fraction

from vfxswap.frame import Frame
from vfxswap.media import PlateInfo
from vfxswap_plugins.media.movie_picture import MoviePicture


class DeliveryClock:
    """Gives each frame its time.

    A delivery that begins with the plate's first frame keeps the plate's times, its start included; a later one begins
    at 0. Steady plates are counted by their exact rate, so that the rounding of a container's clock (milliseconds in
    Matroska) is not carried into one that has none; the times of a plate with a variable rate are carried as they are.

    Args:
        like: The plate.
        first: First frame of the delivery.
        plate_time_base: Seconds of a unit of the plate's own times, if it is a movie.
    """

    def __init__(self, like: PlateInfo, first: int, plate_time_base: Fraction | None) -> None:
        self._like, self._first = like, first
        self._step = 1 / like.rate
        exact = plate_time_base is not None and (self._step / plate_time_base).denominator == 1
        keeps_unit = plate_time_base is not None and (like.variable_rate or exact)
        self.time_base = plate_time_base if plate_time_base is not None and keeps_unit else self._step
        """Seconds of a unit of the delivery's times."""
        self.shift = Fraction(0)
        """Seconds to subtract from the plate's times; known after `begin`."""
        self._start: tuple[int, Fraction] = (first, Fraction(0))

    def begin(self, frame: Frame) -> None:
        """Takes the first frame that is written."""
        start = self.plate_seconds(frame)
        self.shift = start if self._first > self._like.first else Fraction(0)
        self._start = (frame.number, start - self.shift)

    def plate_seconds(self, frame: Frame) -> Fraction:
        """When a frame is shown in the plate."""
        if frame.pts is not None and frame.time_base is not None:
            return frame.pts * frame.time_base
        return (frame.number - self._like.first) * self._step

    def time_of(self, frame: Frame) -> int:
        """When a frame is shown in the delivery, in units of `time_base`."""
        if self._like.variable_rate:
            return round((self.plate_seconds(frame) - self.shift) / self.time_base)
        number, start = self._start
        return round(start / self.time_base) + (frame.number - number) * self._units

    def duration_of(self, frame: Frame) -> int:
        """How long a frame is shown, in units of `time_base`."""
        if self._like.variable_rate and isinstance(frame.plate, MoviePicture) and frame.plate.frame.duration:
            return frame.plate.frame.duration
        return self._units

    @property
    def _units(self) -> int:
        return max(1, round(self._step / self.time_base))
