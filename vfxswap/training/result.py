"""What a training leaves: the trained file, and its model card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from vfxswap.nets.comb import ARCHITECTURE, Comb
from vfxswap.trained import CurvePoint, FacesetUse, TrainedCard, TrainedIdentity, save_trained
from vfxswap.training.card import write_model_card
from vfxswap.training.faces import Roll
from vfxswap.training.previews import Score
from vfxswap.training.settings import Settings


@dataclass(frozen=True, slots=True)
class Outcome:
    """A training that came to its end."""

    path: Path
    """The trained file."""
    card: TrainedCard
    delivered: tuple[Path, ...]
    """Copies of it in identities' folders."""


def delivered(  # noqa: PLR0913 - the facts of a card
    settings: Settings,
    comb: Comb,
    *,
    roll: Roll,
    scores: Mapping[str, Score],
    curve: Sequence[CurvePoint],
    iterations: int,
    seconds: float,
    base: str,
    writes: bool = True,
) -> Outcome:
    """Writes the trained file with its model card, and copies of both into the folders of [train] deliver_to.

    Raises:
        MediaError: It cannot be written.
    """
    people = {name: _person(settings, name, roll) for name in settings.people}
    licences = sorted({person.licence for person in people.values() if person.licence})
    spec = comb.spec
    card = TrainedCard(
        architecture=ARCHITECTURE,
        spec=spec.to_dict(),
        template=settings.crop.template,
        zoom=settings.crop.zoom,
        color_space=settings.color_space,
        identities=people,
        production=settings.train.production,
        purpose=settings.train.purpose,
        options=settings.options(),
        base=base,
        iterations=iterations,
        seconds=round(seconds, 1),
        curve=tuple(curve),
        scores={name: {key: round(value, 4) for key, value in asdict(score).items()} for name, score in scores.items()},
        licence=" AND ".join(licences),
    )
    path = settings.train.out / f"{settings.path.stem}.safetensors"
    copies = tuple(settings.identities[name].folder / path.name for name in settings.train.deliver_to)
    if writes:
        for place in (path, *copies):
            save_trained(place, comb, card)
            write_model_card(place)
    return Outcome(path, card, copies)


def _person(settings: Settings, name: str, roll: Roll) -> TrainedIdentity:
    identity, sets = settings.identities.get(name), settings.sources[name].faces
    person = next(person for person in roll.people if person.name == name)
    uses = tuple(
        FacesetUse(
            name=faceset.folder.name,
            sha256=faceset.hash,
            faces=sum(spot.faceset == number for spot in person.faces.spots),
            held_out=sum(spot.faceset == number for spot in person.held_out.spots),
            left_out=sum(str(faceset.folder) in file for file in person.left_out),
        )
        for number, faceset in enumerate(sets)
    )
    title = identity.title if identity is not None else sets[0].info.identity
    licence = identity.licence if identity is not None else sets[0].info.licence
    return TrainedIdentity(
        title=title, consent=None if identity is None else identity.consent, licence=licence, facesets=uses
    )
