"""The first-party plugins, offered exactly as a studio's are; importing this module imports no stage."""

from __future__ import annotations

from pathlib import Path

from vfxswap.hookspecs import API_VERSION, MediaOffer, StageOffer, hookimpl

_LICENCE = "Apache-2.0"


@hookimpl
def vfxswap_api() -> tuple[int, int]:
    """The contract that these plugins are written for."""
    return API_VERSION


@hookimpl
def vfxswap_stages() -> list[StageOffer]:
    """The first-party stages."""
    return [
        StageOffer("yunet", "detector", "vfxswap_plugins.detectors.yunet:YuNet", "YuNet face detector", _LICENCE),
        StageOffer(
            "tracks", "detector", "vfxswap_plugins.detectors.tracks:Tracks", "faces from a tracks file", _LICENCE
        ),
        StageOffer(
            "face-tracker", "tracker", "vfxswap_plugins.trackers.faces:FaceTracker", "faces as tracks", _LICENCE
        ),
        StageOffer("facemesh", "aligner", "vfxswap_plugins.aligners.facemesh:FaceMesh", "468 landmarks", _LICENCE),
        StageOffer(
            "points5", "aligner", "vfxswap_plugins.aligners.points5:Points5", "the detector's own points", _LICENCE
        ),
        StageOffer(
            "steady-landmarks",
            "stage",
            "vfxswap_plugins.landmarks.steady:SteadyLandmarks",
            "landmarks without trembling",
            _LICENCE,
        ),
        StageOffer(
            "portrait", "swapper", "vfxswap_plugins.swappers.portrait:PortraitSwapper", "a still, warped", _LICENCE
        ),
        StageOffer(
            "autoencoder",
            "swapper",
            "vfxswap_plugins.swappers.autoencoder:Autoencoder",
            "faces trained by vfxswap train",
            _LICENCE,
        ),
        StageOffer("dfm", "swapper", "vfxswap_plugins.swappers.dfm:DfmSwapper", "a trained face, as DFM", _LICENCE),
        StageOffer(
            "one-shot", "swapper", "vfxswap_plugins.swappers.one_shot:OneShot", "inswapper and its family", _LICENCE
        ),
        StageOffer("hull", "matte", "vfxswap_plugins.mattes.hull:Hull", "matte from landmarks", _LICENCE),
        StageOffer("roto", "matte", "vfxswap_plugins.mattes.roto:Roto", "matte from a roto sequence", _LICENCE),
        StageOffer(
            "occlusion", "matte", "vfxswap_plugins.mattes.occlusion:Occlusion", "matte of what hides a face", _LICENCE
        ),
        StageOffer("xseg", "matte", "vfxswap_plugins.mattes.xseg:Xseg", "matte from an XSeg network", _LICENCE),
        StageOffer("parser", "matte", "vfxswap_plugins.mattes.parser:Parser", "matte from a face parser", _LICENCE),
        StageOffer("mkl", "color", "vfxswap_plugins.color.linear:Mkl", "Monge-Kantorovich linear match", _LICENCE),
        StageOffer("lct", "color", "vfxswap_plugins.color.linear:Lct", "linear match by covariance", _LICENCE),
        StageOffer("reinhard", "color", "vfxswap_plugins.color.linear:Reinhard", "mean and deviation in Lab", _LICENCE),
        StageOffer("idt", "color", "vfxswap_plugins.color.transport:Idt", "iterative distribution transfer", _LICENCE),
        StageOffer("sot", "color", "vfxswap_plugins.color.transport:Sot", "sliced optimal transport", _LICENCE),
        StageOffer("hist", "color", "vfxswap_plugins.color.transport:Hist", "histogram match by channel", _LICENCE),
        StageOffer("alpha", "blend", "vfxswap_plugins.blend.alpha:Alpha", "plain matte mix", _LICENCE),
        StageOffer("pyramid", "blend", "vfxswap_plugins.blend.pyramid:Pyramid", "multi-band blend", _LICENCE),
        StageOffer("poisson", "blend", "vfxswap_plugins.blend.poisson:Poisson", "gradient-domain blend", _LICENCE),
        StageOffer(
            "flow-deflicker",
            "deflicker",
            "vfxswap_plugins.deflicker.flow:FlowDeflicker",
            "motion-compensated",
            _LICENCE,
        ),
        StageOffer(
            "light-deflicker",
            "deflicker",
            "vfxswap_plugins.deflicker.light:LightDeflicker",
            "against slow changes of light",
            _LICENCE,
        ),
        StageOffer(
            "detail-deflicker",
            "deflicker",
            "vfxswap_plugins.deflicker.detail:DetailDeflicker",
            "against shimmering detail",
            _LICENCE,
        ),
        StageOffer("grain", "finish", "vfxswap_plugins.finish.grain:GrainMatch", "the plate's grain", _LICENCE),
    ]


@hookimpl
def vfxswap_readers() -> list[MediaOffer]:
    """The first-party readers."""
    return [
        MediaOffer(
            "movie",
            "vfxswap_plugins.media.movie_reader:MovieReader",
            (
                ".mov",
                ".mp4",
                ".m4v",
                ".mkv",
                ".mxf",
                ".avi",
                ".webm",
                ".mpg",
                ".mpeg",
                ".ts",
                ".gif",
                ".y4m",
                ".264",
                ".265",
            ),
            "movies by PyAV",
            _LICENCE,
        ),
        MediaOffer(
            "still",
            "vfxswap_plugins.media.still:StillReader",
            (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".dpx", ".exr"),
            "single pictures by OpenEXR and OpenImageIO",
            _LICENCE,
        ),
        MediaOffer(
            "sequence",
            "vfxswap_plugins.media.sequence_reader:SequenceReader",
            (".exr", ".dpx", ".tif", ".tiff", ".png", ".jpg", ".jpeg"),
            "image sequences by OpenEXR and OpenImageIO",
            _LICENCE,
        ),
    ]


@hookimpl
def vfxswap_writers() -> list[MediaOffer]:
    """The first-party writers."""
    return [
        MediaOffer(
            "movie",
            "vfxswap_plugins.media.movie_writer:MovieWriter",
            (".mov", ".mp4", ".m4v", ".mkv", ".mxf"),
            "movies by PyAV",
            _LICENCE,
        ),
        MediaOffer(
            "sequence",
            "vfxswap_plugins.media.sequence_writer:SequenceWriter",
            (".exr", ".dpx", ".tif", ".tiff", ".png"),
            "image sequences by OpenEXR and OpenImageIO",
            _LICENCE,
        ),
    ]


@hookimpl
def vfxswap_models() -> list[Path]:
    """The model cards of the first-party stages."""
    return [Path(__file__).parent / "models.toml"]
