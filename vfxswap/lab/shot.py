"""A shot as data: who plays, in what light, through which camera; and ready shots, named for what they stress."""

from __future__ import annotations

from fractions import Fraction
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from vfxswap.clock import exact_rate
from vfxswap.lab.camera import Camera
from vfxswap.lab.light import RigName
from vfxswap.lab.looks import PERFORMERS, Looks
from vfxswap.lab.motion import Acting


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _known(value: object) -> object:
    """A performer's name becomes its record."""
    if isinstance(value, str):
        if value not in PERFORMERS:
            raise ValueError(f"no performer {value!r}; there are {', '.join(PERFORMERS)}")
        return PERFORMERS[value]
    return value


class Role(_Record):
    """A performer in a shot."""

    looks: Looks = Field(default=PERFORMERS["ada"], description="Name of a performer, or a whole record.")
    face: Looks | None = Field(default=None, description="Whose face the truth shows on it; absent: its own.")
    acting: Acting = Acting()
    place_cm: tuple[float, float, float] = Field(default=(0.0, 0.0, 0.0), description="Where it stands: x, y, z.")
    walk_cm: tuple[float, float, float] = Field(
        default=(0.0, 0.0, 0.0), description="How far it goes from there until the last frame, at an even pace."
    )

    @field_validator("looks", "face", mode="before")
    @classmethod
    def _by_name(cls, value: object) -> object:
        return _known(value)


class Cut(_Record):
    """From a frame on, another camera."""

    frame: int = Field(description="First frame that the camera takes.")
    camera: Camera


class Lights(_Record):
    """Light over the shot."""

    rig: RigName = Field(default="studio", description="The rig.")
    turn_degrees: float = Field(default=0.0, ge=-360, le=360, description="How far the key moves round over the shot.")
    dim: float = Field(
        default=0.0, ge=0, le=0.9, description="How much darker it becomes towards the middle of the shot."
    )
    flicker: float = Field(default=0.0, ge=0, le=0.6, description="Strength of random changes from frame to frame.")
    shadows: bool = Field(default=True, description="Whether the key casts shadows.")


class Lens(_Record):
    """What camera and film add."""

    shake: float = Field(default=0.0, ge=0, le=0.05, description="Hand-held movement, in picture heights.")
    shutter: float = Field(
        default=0.5, ge=0, le=1, description="Part of a frame that the shutter is open; 0.5 is 180 degrees."
    )
    samples: int = Field(default=5, ge=1, le=64, description="Instants within the shutter that are averaged.")
    defocus: tuple[float, float] = Field(
        default=(0.0, 0.0), description="Radius at first and last frame, picture heights."
    )
    grain: float = Field(default=0.0, ge=0, le=0.2, description="Strength of grain in code values 0..1.")
    exposure_stops: float = Field(
        default=0.0,
        ge=-6,
        le=6,
        description="Exposure; at 2 lit skin is brighter than white.",
    )


class ShotSpec(_Record):
    """A shot."""

    name: str = Field(min_length=1, description="For file names and reports.")
    frames: tuple[int, int] = Field(default=(1001, 1072), description="First and last frame.")
    rate: Fraction = Field(default=Fraction(24), description="Frames a second.")
    roles: tuple[Role, ...] = Field(default=(Role(face=PERFORMERS["ben"]),), min_length=1, max_length=4)
    camera: Camera = Camera()
    cuts: tuple[Cut, ...] = Field(default=(), description="Changes of camera, in order.")
    lights: Lights = Lights()
    lens: Lens = Lens()
    occluder: Literal["none", "microphone"] = Field(default="none", description="What passes in front of the face.")
    seed: int = Field(default=5, ge=0, lt=2**20, description="Seed of backdrop, shake, flicker and grain.")

    @field_validator("rate", mode="before")
    @classmethod
    def _exact(cls, value: object) -> object:
        return exact_rate(value) if isinstance(value, float | Fraction) else value

    @model_validator(mode="after")
    def _in_order(self) -> ShotSpec:
        first, last = self.frames
        if last < first:
            raise ValueError(f"frames must run forwards, got {first}-{last}")
        at = [cut.frame for cut in self.cuts]
        if at != sorted(set(at)) or any(not first < frame <= last for frame in at):
            raise ValueError(f"cuts must be in order and inside frames {first + 1}-{last}, got {at}")
        return self

    def camera_at(self, frame: int) -> Camera:
        """The camera that takes a frame."""
        return next((cut.camera for cut in reversed(self.cuts) if frame >= cut.frame), self.camera)

    def seconds_of(self, frame: float) -> float:
        """Time of a frame since the first."""
        return float((frame - self.frames[0]) / self.rate)

    @property
    def length_seconds(self) -> float:
        """Time from the first to the last frame."""
        return self.seconds_of(self.frames[1])

    @property
    def first_cast(self) -> str:
        """Title of the identity whose face the truth shows first."""
        return next((role.face.title for role in self.roles if role.face is not None), self.roles[0].looks.title)


def _ada(**acting: object) -> Role:
    return Role(looks=PERFORMERS["ada"], face=PERFORMERS["ben"], acting=Acting.model_validate(acting))


PRESETS: dict[str, ShotSpec] = {
    spec.name: spec
    for spec in (
        ShotSpec(
            name="demo",
            frames=(1001, 1048),
            roles=(_ada(seed=4, talk=0.9, smile=0.35, yaw_degrees=22, tempo=1.5, blinks_per_minute=32),),
            lights=Lights(turn_degrees=35, dim=0.25),
            lens=Lens(shake=0.0015, grain=0.008),
        ),
        ShotSpec(name="talk", roles=(_ada(seed=2, talk=1.2, smile=0.3, brows=0.8),)),
        ShotSpec(name="profile", roles=(_ada(seed=3, yaw_degrees=3, turn=(-20.0, 85.0)),)),
        ShotSpec(name="blink", roles=(_ada(seed=4, yaw_degrees=5, blinks_per_minute=80, gaze_degrees=18),)),
        ShotSpec(
            name="lights",
            roles=(_ada(seed=5, yaw_degrees=8),),
            lights=Lights(rig="street", turn_degrees=-110, dim=0.35),
        ),
        ShotSpec(name="flicker", roles=(_ada(seed=6),), lights=Lights(rig="window", flicker=0.18)),
        ShotSpec(name="occluder", roles=(_ada(seed=7, talk=0.6),), occluder="microphone"),
        ShotSpec(name="shake", roles=(_ada(seed=8),), lens=Lens(shake=0.012, samples=8)),
        ShotSpec(
            name="blur",
            roles=(_ada(seed=9, yaw_degrees=35, sway_cm=6, tempo=3),),
            lens=Lens(shutter=1.0, samples=16),
        ),
        ShotSpec(name="defocus", roles=(_ada(seed=10),), lens=Lens(defocus=(0.0, 0.018))),
        ShotSpec(name="grain", roles=(_ada(seed=11),), lights=Lights(rig="rim"), lens=Lens(grain=0.04)),
        ShotSpec(
            name="two",
            roles=(
                _ada(seed=12, talk=0.8, turn=(14.0, 22.0)).model_copy(update={"place_cm": (-13.0, 0.0, 0.0)}),
                Role(
                    looks=PERFORMERS["chi"],
                    acting=Acting(seed=13, turn=(-18.0, -12.0), smile=0.5),
                    place_cm=(13.0, 2.0, -4.0),
                ),
            ),
        ),
        ShotSpec(
            name="cross",
            frames=(1001, 1048),
            roles=(
                _ada(seed=15, talk=0.4, yaw_degrees=8, turn=(20.0, 10.0)).model_copy(
                    update={"place_cm": (-17.0, 0.0, 10.0), "walk_cm": (34.0, 0.0, 0.0)}
                ),
                Role(
                    looks=PERFORMERS["chi"],
                    acting=Acting(seed=16, yaw_degrees=8, turn=(-20.0, -10.0)),
                    place_cm=(22.0, 1.0, -22.0),
                    walk_cm=(-44.0, 0.0, 4.0),
                ),
            ),
        ),
        ShotSpec(
            name="cut",
            roles=(_ada(seed=14, talk=0.7),),
            cuts=(
                Cut(frame=1025, camera=Camera(focal_mm=85.0, boom_cm=-4.0)),
                Cut(frame=1049, camera=Camera(focal_mm=35.0, truck_cm=9.0)),
            ),
        ),
    )
}
"""Ready shots by name; in each, A plays with B's face as the truth."""
