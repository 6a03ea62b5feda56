"""Settings of frames: geometry, decoder."""

from __future__ import annotations

from typing import Annotated, Literal, Self, get_args

from pydantic import BeforeValidator, Field, model_validator

from serve_app.schema import Closed, FpsSampling, OnDamage, Sampling, name_strategy
from serve_app.schema.numbers import Number, Whole
from serve_app.schema.request import ON_DAMAGE
from serve_app.schema.sampling import MAX_FRAMES
from serve_app.schema.violations import refusal
from serve_app.settings.models import BUILT_IN, profile_of
from serve_app.settings.profile import ModelProfile, require_area


class GeometrySettings(Closed):
    """Size of the frames that the engine sees; aspect ratio kept, sides multiples of ``factor``.

    The rule is ``smart_resize`` of Qwen's reference code.
    """

    factor: Whole = Field(default=28, ge=1, le=256, description="Both sides are multiples of so many pixels.")
    min_pixels: Whole = Field(default=3136, ge=1, le=10**8, description="Fewest pixels per frame.")
    max_pixels: Whole = Field(default=200_704, ge=1, le=10**8, description="Most pixels per frame.")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        require_area(self.factor, self.min_pixels, self.max_pixels)
        return self


Guard = Literal[
    "clean_environment",
    "empty_directory",
    "memory_limit",
    "file_limits",
    "process_limit",
    "no_capabilities",
    "no_new_privileges",
    "landlock_files",
    "landlock_tcp",
    "landlock_signals",
    "seccomp",
    "network_namespace",
]
"""What stands between a decoding process and the machine; docs/operations.md says what each does."""
EVERY_GUARD: frozenset[Guard] = frozenset(get_args(Guard))


class LimitSettings(Closed):
    """What one video may ask of the process that decodes it."""

    memory_mib: Number = Field(
        default=2048, ge=64, le=1_048_576, description="Beside the frames and what the idle process takes."
    )
    processor_s: Number = Field(default=120, gt=0, le=86_400, description="Processor time of one request.")
    picture_pixels: Whole = Field(
        default=8192 * 8192, ge=1, le=264_000_000, description="Pixels of one picture as it is stored."
    )
    packets: Whole = Field(
        default=4_000_000,
        ge=1,
        le=100_000_000,
        description="Packets of the stream, mostly one a frame.",
    )
    duration_s: Number = Field(default=86_400, gt=0, le=10**7, description="Length of the video.")


Second = Literal["none", "torchcodec"]


class DecoderSettings(Closed):
    """How frames are chosen and decoded."""

    sampling: Annotated[Sampling, BeforeValidator(name_strategy)] = Field(
        default=FpsSampling(fps=2.0, max_frames=64), description="Where a request does not say."
    )
    geometry: GeometrySettings = Field(default=GeometrySettings(), description="Frame size.")
    on_damage: OnDamage = Field(default="fail", description=f"{ON_DAMAGE} Where a request does not say.")
    profile: str | None = Field(
        default=None,
        min_length=1,
        max_length=256,
        description="A profile's name or a model's id: its rules choose the frames where neither request nor "
        "`sampling` says how, and their size in place of `geometry`. Default: by the engine's model, if it "
        "has one.",
    )
    profiles: tuple[ModelProfile, ...] = Field(
        default=(), max_length=64, description="Own profiles; they come before those that are built in."
    )
    max_sampled_frames: Whole = Field(
        default=MAX_FRAMES, ge=1, le=MAX_FRAMES, description="Never more frames, whatever a request asks for."
    )
    children: Whole = Field(default=1, ge=1, le=64, description="Decoding processes per replica.")
    timeout_s: Number = Field(default=120, gt=0, le=86_400, description="Then the child is killed.")
    max_frames_mib: Number = Field(default=1024, gt=0, le=65_536, description="Frames of one request in MiB.")
    limits: LimitSettings = Field(default=LimitSettings(), description="What one video may ask for.")
    fallback: Second = Field(
        default="none",
        description="What decodes a video for which PyAV has no demuxer or no decoder. torchcodec: the "
        "system's FFmpeg; the application does not start without it and `capstream[torchcodec]`.",
    )
    containment: Literal["prefer", "require"] = Field(
        default="prefer",
        description="prefer: whatever the platform has stands around the decoding process; require: the "
        "application does not start unless all guards stand.",
    )
    containment_waived: tuple[Guard, ...] = Field(
        default=(), description="Guards that `require` does without."
    )

    @model_validator(mode="after")
    def _known_profile(self) -> Self:
        if self.profile is not None and profile_of(self.profile, self.profiles) is None:
            known = ", ".join(profile.name for profile in (*self.profiles, *BUILT_IN))
            told = f"allowed: an id of a known model, or the name of a profile: {known}"
            raise refusal(("profile",), self.profile, told)
        return self

    def profile_for(self, model: str | None) -> ModelProfile | None:
        """The profile in force with an engine that runs ``model``."""
        asked = self.profile or model
        return profile_of(asked, self.profiles) if asked is not None else None

    @property
    def required_guards(self) -> frozenset[Guard]:
        """Guards without which the application does not start."""
        return EVERY_GUARD - set(self.containment_waived) if self.containment == "require" else frozenset()
