"""What a performer looks like: a strict record of shapes and colours; ready performers, and others drawn at random."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeVar

from annotated_types import Ge, Le
from pydantic import BaseModel, ConfigDict, Field

from vfxswap.errors import UsageError

Rgb = tuple[float, float, float]
"""Scene-linear BT.709."""


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


RecordT = TypeVar("RecordT", bound=_Record)


class Skull(_Record):
    """The head's build; a face swap leaves it as it is."""

    width: float = Field(default=1.0, ge=0.9, le=1.1, description="Width of the head, 1 is average.")
    height: float = Field(default=1.0, ge=0.9, le=1.1, description="Height above the brows, 1 is average.")
    jaw: float = Field(default=0.0, ge=-0.2, le=0.2, description="Extra width of the jaw, as a part of its width.")
    length: float = Field(
        default=0.0, ge=-0.1, le=0.1, description="Extra length of the face below the eyes, as a part."
    )
    ears: float = Field(default=1.0, ge=0.8, le=1.25, description="Size of the ears, 1 is average.")


class Relief(_Record):
    """How strongly the bones show; 1 is average."""

    brow: float = Field(default=1.0, ge=0.0, le=2.5, description="Brow ridge.")
    cheekbone: float = Field(default=1.0, ge=0.0, le=3.0, description="Cheekbones.")
    hollow: float = Field(default=0.0, ge=-1.0, le=1.5, description="Hollowness of the cheeks.")
    chin: float = Field(default=1.0, ge=0.0, le=3.0, description="Chin.")
    fold: float = Field(default=0.5, ge=0.0, le=2.0, description="Fold from nose to mouth.")
    age: float = Field(default=0.15, ge=0.0, le=1.0, description="Lines of age: forehead, crow's feet, under the eyes.")


class Nose(_Record):
    """The nose."""

    length_cm: float = Field(default=0.0, ge=-0.5, le=0.6, description="Extra length.")
    width: float = Field(default=0.0, ge=-0.25, le=0.4, description="Extra width, as a part of its width.")
    height: float = Field(default=1.0, ge=0.6, le=1.4, description="How far it stands out, 1 is average.")
    hump_cm: float = Field(default=0.0, ge=-0.2, le=0.4, description="Hump (or hollow) of the bridge.")
    tip: float = Field(default=1.0, ge=0.6, le=1.5, description="Roundness of the tip, 1 is average.")


class Eyes(_Record):
    """The eyes."""

    spacing_cm: float = Field(default=0.0, ge=-0.3, le=0.3, description="Shift of each eye outwards.")
    size: float = Field(default=0.0, ge=-0.15, le=0.15, description="Extra size, as a part.")
    tilt_degrees: float = Field(default=3.0, ge=-6.0, le=10.0, description="Outer corner above the inner one.")
    opening: float = Field(default=1.0, ge=0.7, le=1.2, description="Height of the lids' opening, 1 is average.")
    crease: float = Field(default=1.0, ge=0.0, le=1.5, description="Strength of the upper lid's crease.")
    iris: Rgb = Field(default=(0.16, 0.25, 0.33), description="Colour of the iris.")


class Mouth(_Record):
    """The mouth."""

    width: float = Field(default=0.0, ge=-0.15, le=0.2, description="Extra width, as a part.")
    fullness: float = Field(default=1.0, ge=0.4, le=1.8, description="Fullness of the lips, 1 is average.")
    redness: float = Field(default=0.5, ge=0.0, le=1.0, description="How far the lips' colour is from the skin's.")


class Brows(_Record):
    """The eyebrows."""

    thickness: float = Field(default=1.0, ge=0.3, le=2.2, description="Thickness, 1 is average.")
    arch_cm: float = Field(default=0.0, ge=-0.2, le=0.4, description="Extra height of the arch.")
    height_cm: float = Field(default=0.0, ge=-0.4, le=0.4, description="Shift upwards.")
    density: float = Field(default=0.85, ge=0.1, le=1.0, description="How much skin they cover.")


class Skin(_Record):
    """The skin's colour and marks."""

    ita_degrees: float = Field(
        default=45.0, ge=-70.0, le=65.0, description="Individual typology angle: 65 palest, -70 darkest."
    )
    redness: float = Field(default=1.0, ge=0.0, le=2.0, description="Blush of cheeks, nose and ears, 1 is average.")
    freckles: float = Field(default=0.0, ge=0.0, le=1.0, description="Freckles.")
    blemishes: float = Field(default=0.3, ge=0.0, le=1.0, description="Small irregular spots.")
    stubble: float = Field(default=0.0, ge=0.0, le=1.0, description="Shaved beard's shadow.")
    beard: float = Field(default=0.0, ge=0.0, le=1.0, description="Full short beard.")
    oil: float = Field(default=1.0, ge=0.0, le=2.0, description="Shine, 1 is average.")


class Hair(_Record):
    """The hair; a face swap leaves it as it is."""

    style: Literal["bald", "cropped", "short", "parted", "long"] = "short"
    rgb: Rgb = Field(default=(0.06, 0.04, 0.03), description="Colour.")
    hairline_cm: float = Field(default=0.0, ge=-1.0, le=2.5, description="Height of the hairline over the average one.")
    grey: float = Field(default=0.0, ge=0.0, le=1.0, description="Part of the hairs that are grey.")


class Looks(_Record):
    """One performer."""

    title: str = Field(min_length=1, description="Who it is, for records.")
    seed: int = Field(default=1, ge=0, lt=2**20, description="Seed of everything irregular.")
    skull: Skull = Skull()
    relief: Relief = Relief()
    nose: Nose = Nose()
    eyes: Eyes = Eyes()
    mouth: Mouth = Mouth()
    brows: Brows = Brows()
    skin: Skin = Skin()
    hair: Hair = Hair()
    glasses: bool = Field(default=False, description="Wears glasses; a face swap leaves them on.")
    shirt: Rgb = Field(default=(0.08, 0.12, 0.22), description="Colour of the shirt.")

    def with_face_of(self, other: Looks) -> Looks:
        """The other's face on this build: skull, hair, skin tone and clothes stay this performer's.

        What a face replacement that is matched to the plate shall look like.
        """
        return self.model_copy(
            update={
                "title": f"{other.title} on {self.title}",
                "seed": other.seed,
                "relief": other.relief,
                "nose": other.nose,
                "eyes": other.eyes,
                "mouth": other.mouth,
                "brows": other.brows,
                "skin": other.skin.model_copy(update={"ita_degrees": self.skin.ita_degrees}),
                "hair": self.hair.model_copy(update={"rgb": other.hair.rgb}),  # colours the brows alone
            }
        )


PERFORMERS: dict[str, Looks] = {
    "ada": Looks(
        title="CG performer A (synthetic)",
        seed=3,
        skull=Skull(width=0.97, jaw=-0.07, length=-0.02, ears=0.92),
        relief=Relief(brow=0.5, cheekbone=1.5, chin=0.7, fold=0.25, age=0.05),
        nose=Nose(width=-0.08, height=0.92, length_cm=-0.15, tip=0.9),
        eyes=Eyes(size=0.06, tilt_degrees=4.5, iris=(0.14, 0.26, 0.17)),
        mouth=Mouth(width=-0.03, fullness=1.2, redness=0.8),
        brows=Brows(thickness=0.8, arch_cm=0.12),
        skin=Skin(ita_degrees=50, freckles=0.8, blemishes=0.15),
        hair=Hair(style="long", rgb=(0.17, 0.065, 0.025)),
        shirt=(0.05, 0.13, 0.15),
    ),
    "ben": Looks(
        title="CG performer B (synthetic)",
        seed=8,
        skull=Skull(width=1.03, jaw=0.09, length=0.04, ears=1.08),
        relief=Relief(brow=1.7, cheekbone=0.9, hollow=0.5, chin=1.6, fold=0.9, age=0.45),
        nose=Nose(length_cm=0.1, width=0.12, height=1.02, hump_cm=0.15, tip=1.0),
        eyes=Eyes(spacing_cm=0.08, size=-0.04, tilt_degrees=0.5, opening=0.88, iris=(0.10, 0.055, 0.03)),
        mouth=Mouth(width=0.08, fullness=0.85, redness=0.4),
        brows=Brows(thickness=1.5, height_cm=-0.18, density=0.95),
        skin=Skin(ita_degrees=18, stubble=0.5, blemishes=0.5),
        hair=Hair(style="short", rgb=(0.018, 0.015, 0.014), hairline_cm=0.5),
        shirt=(0.25, 0.05, 0.05),
    ),
    "chi": Looks(
        title="CG performer C (synthetic)",
        seed=21,
        skull=Skull(width=1.0, jaw=-0.03, length=-0.01),
        relief=Relief(brow=0.7, cheekbone=1.7, chin=0.9, fold=0.3, age=0.1),
        nose=Nose(width=0.22, height=0.88, length_cm=-0.05, tip=1.2),
        eyes=Eyes(size=0.02, tilt_degrees=5.0, opening=0.95, iris=(0.05, 0.028, 0.018)),
        mouth=Mouth(width=0.04, fullness=1.5, redness=0.45),
        brows=Brows(thickness=1.0, arch_cm=0.05),
        skin=Skin(ita_degrees=-45, blemishes=0.2, oil=1.3),
        hair=Hair(style="cropped", rgb=(0.012, 0.010, 0.009)),
        shirt=(0.42, 0.34, 0.06),
    ),
    "dov": Looks(
        title="CG performer D (synthetic)",
        seed=34,
        skull=Skull(width=1.01, jaw=0.04, length=0.02, ears=1.15),
        relief=Relief(brow=1.3, cheekbone=0.8, hollow=0.7, chin=1.2, fold=1.3, age=0.95),
        nose=Nose(length_cm=0.25, width=0.08, height=1.05, hump_cm=0.1),
        eyes=Eyes(tilt_degrees=1.0, opening=0.85, iris=(0.20, 0.28, 0.36)),
        mouth=Mouth(fullness=0.65, redness=0.35),
        brows=Brows(thickness=1.3, height_cm=-0.1),
        skin=Skin(ita_degrees=36, blemishes=0.6, beard=0.8),
        hair=Hair(style="short", rgb=(0.16, 0.15, 0.14), hairline_cm=1.2, grey=0.8),
        glasses=True,
        shirt=(0.12, 0.12, 0.13),
    ),
    "eun": Looks(
        title="CG performer E (synthetic)",
        seed=55,
        skull=Skull(width=1.02, jaw=0.0, length=-0.02, ears=0.95),
        relief=Relief(brow=0.4, cheekbone=1.3, chin=0.8, fold=0.2, age=0.05),
        nose=Nose(width=0.05, height=0.85, tip=1.0),
        eyes=Eyes(size=0.0, tilt_degrees=6.0, opening=0.84, crease=0.25, iris=(0.06, 0.035, 0.02)),
        mouth=Mouth(fullness=1.1, redness=0.65),
        brows=Brows(thickness=0.9),
        skin=Skin(ita_degrees=40, blemishes=0.1),
        hair=Hair(style="parted", rgb=(0.014, 0.012, 0.012)),
        shirt=(0.5, 0.48, 0.46),
    ),
}
"""Performers by name; they differ in build, age, skin tone, hair and what they wear."""


_EUMELANIN: tuple[Rgb, ...] = ((0.40, 0.27, 0.13), (0.22, 0.125, 0.055), (0.075, 0.042, 0.024), (0.014, 0.011, 0.010))
"""Hair from fair to black, as its dark pigment grows."""
_RED_HAIR: Rgb = (0.26, 0.075, 0.022)
_IRISES: tuple[Rgb, ...] = ((0.20, 0.30, 0.40), (0.15, 0.24, 0.16), (0.16, 0.10, 0.04), (0.05, 0.028, 0.018))
"""Irises from blue over green and hazel to dark brown."""


class _Dice:
    """Draws for one part of a performer; what other parts draw does not change them."""

    def __init__(self, seed: int, part: str) -> None:
        self._random = random.Random(f"{seed} {part}")  # noqa: S311 - looks are no secret

    def share(self) -> float:
        """Evenly 0..1."""
        return self._random.random()

    def within(self, low: float, high: float, *, most: float | None = None) -> float:
        """Between two bounds: evenly, or by a triangle that peaks at `most`."""
        share, width = self.share(), high - low
        if most is None:
            return low + width * share
        if share * width <= most - low:
            return low + math.sqrt(width * (most - low) * share)
        return high - math.sqrt(width * (high - most) * (1 - share))

    def one_of(self, choices: Mapping[str, float]) -> str:
        """One of some words, each with its weight."""
        return self._random.choices(list(choices), list(choices.values()))[0]


def random_looks(seed: int) -> Looks:
    """Draws a performer; the same seed always gives the same one.

    Build, bones, nose, eyes, mouth and brows cover all of their ranges, with the middle more often. Skin tones are
    even over typology angles of -60..60 degrees and ages over 0..1. Hair and irises grow darker with the skin, hair
    greys and recedes with age, beards go with strong bones, each loosely: the unlikely is rare and not excluded.

    Raises:
        UsageError: The seed is negative.
    """
    if seed < 0:
        raise UsageError(f"the seed of a performer must be 0 or more, got {seed}")
    dice = _Dice(seed, "person")
    age, strong, angle = dice.share(), dice.share(), dice.within(-60.0, 60.0)
    hair = _random_hair(_Dice(seed, "hair"), age=age, strong=strong, angle=angle)
    bones = {"brow": 0.4 + 1.2 * strong, "chin": 0.6 + 0.9 * strong, "fold": 0.2 + 1.2 * age}
    return Looks(
        title=f"CG performer {seed} (synthetic)",
        seed=int(dice.within(0, 2**20)),
        skull=_scattered(Skull, _Dice(seed, "skull"), {"jaw": 0.12 * (strong - 0.5)}),
        relief=_scattered(Relief, _Dice(seed, "relief"), bones).model_copy(update={"age": age}),
        nose=_scattered(Nose, _Dice(seed, "nose")),
        eyes=_scattered(Eyes, _Dice(seed, "eyes"), {"opening": 1.05 - 0.2 * age}).model_copy(
            update={"iris": _between(_IRISES, _darkness(_Dice(seed, "iris"), angle))}
        ),
        mouth=_scattered(Mouth, _Dice(seed, "mouth"), {"fullness": 1.2 - 0.4 * age}),
        brows=_scattered(Brows, _Dice(seed, "brows"), {"thickness": 0.7 + 0.7 * strong}),
        skin=_random_skin(_Dice(seed, "skin"), strong=strong, angle=angle),
        hair=hair,
        glasses=_Dice(seed, "glasses").share() < 0.2 + 0.25 * age,
        shirt=_random_cloth(_Dice(seed, "shirt")),
    )


def _scattered(kind: type[RecordT], dice: _Dice, likely: Mapping[str, float] | None = None) -> RecordT:
    """A record whose bounded numbers are drawn within their bounds, most often near the default or what is `likely`."""
    values: dict[str, Any] = {}
    for name, field in kind.model_fields.items():
        low = [bound.ge for bound in field.metadata if isinstance(bound, Ge)]
        high = [bound.le for bound in field.metadata if isinstance(bound, Le)]
        if low and high:
            most = (likely or {}).get(name, field.default)
            values[name] = dice.within(float(low[0]), float(high[0]), most=most)  # type: ignore[arg-type]
    return kind(**values)


def _random_skin(dice: _Dice, *, strong: float, angle: float) -> Skin:
    shaved = dice.one_of({"smooth": 1.2 - strong, "stubble": 0.7 * strong, "beard": 0.6 * strong})
    return _scattered(Skin, dice).model_copy(
        update={
            "ita_degrees": angle,
            "freckles": dice.share() if dice.share() < 0.05 + 0.25 * max(angle, 0.0) / 60 else 0.0,
            "stubble": 0.0 if shaved == "smooth" else dice.within(0.1, 1.0),
            "beard": dice.within(0.35, 1.0) if shaved == "beard" else 0.0,
        }
    )


def _random_hair(dice: _Dice, *, age: float, strong: float, angle: float) -> Hair:
    pigment = _between(_EUMELANIN, _darkness(dice, angle))
    red = dice.share() if dice.share() < 0.02 + 0.12 * max(angle, 0.0) / 60 else 0.0
    bare = max(age - 0.4, 0.0) * strong
    style = dice.one_of({"bald": 0.2 + bare, "cropped": 0.8, "short": 1.0, "parted": 1.0, "long": 1.6 - strong})
    return Hair.model_validate(
        {
            "style": style,
            "rgb": _between((pigment, _RED_HAIR), red),
            "hairline_cm": dice.within(-1.0, 2.5, most=-0.2 + 2.2 * bare),
            "grey": min(1.0, dice.share() * max(age - 0.3, 0.0) / 0.5),
        }
    )


def _darkness(dice: _Dice, angle: float) -> float:
    """How dark hair or iris is, 0..1: any on pale skin, nearly always dark on dark skin."""
    return dice.share() ** (0.35 + 0.65 * max(angle, 0.0) / 60) if angle > 0 else 1 - 0.35 * dice.share() ** 3


def _between(colours: Sequence[Rgb], share: float) -> Rgb:
    """A colour between the first (0) and the last (1)."""
    place = share * (len(colours) - 1)
    low = min(int(place), len(colours) - 2)
    red, green, blue = (a + (b - a) * (place - low) for a, b in zip(colours[low], colours[low + 1], strict=True))
    return red, green, blue


def _random_cloth(dice: _Dice) -> Rgb:
    """From nearly black to nearly white, grey or coloured."""
    light, vivid = 0.015 * 40 ** dice.share(), dice.share() ** 2
    red, green, blue = (light * (1 - vivid * dice.share()) for _ in range(3))
    return red, green, blue
