"""What travels on the topics: requests and caption records, as JSON with a published schema.

``capstream.request/v1`` comes in three forms: a JSON object, a bare URL, or an OpenAI-style list of
chat messages with a ``video`` or ``video_url`` item; :mod:`consumers.records` reads all three into a
:class:`CaptionRequest`. ``capstream.caption/v1`` is :class:`CaptionRecord`.
"""

from serve_app.schema.caption import (
    CAPTION_SCHEMA,
    Caption,
    Captioned,
    CaptionRecord,
    Coverage,
    EngineFacts,
    Envelope,
    FrameFacts,
    Origin,
    Reused,
    SourceFacts,
    TimeRange,
    Timings,
    Usage,
    VideoFacts,
    Workers,
)
from serve_app.schema.closed import Closed
from serve_app.schema.frame_list import FrameList
from serve_app.schema.generation import (
    ChoiceOutput,
    GenerationParams,
    JsonOutput,
    Output,
    RegexOutput,
    name_output,
)
from serve_app.schema.messages import ChatMessage
from serve_app.schema.request import REQUEST_SCHEMA, CaptionRequest, OnDamage
from serve_app.schema.sampling import (
    FpsSampling,
    IntervalSampling,
    KeyframesSampling,
    NumFramesSampling,
    Sampling,
    SceneSampling,
    TimesSampling,
    UniformSampling,
    name_strategy,
)
from serve_app.schema.window import WINDOW_SCHEMA, WindowRecord
from serve_app.schema.windows import Windows

__all__ = [
    "CAPTION_SCHEMA",
    "REQUEST_SCHEMA",
    "WINDOW_SCHEMA",
    "Caption",
    "CaptionRecord",
    "CaptionRequest",
    "Captioned",
    "ChatMessage",
    "ChoiceOutput",
    "Closed",
    "Coverage",
    "EngineFacts",
    "Envelope",
    "FpsSampling",
    "FrameFacts",
    "FrameList",
    "GenerationParams",
    "IntervalSampling",
    "JsonOutput",
    "KeyframesSampling",
    "NumFramesSampling",
    "OnDamage",
    "Origin",
    "Output",
    "RegexOutput",
    "Reused",
    "Sampling",
    "SceneSampling",
    "SourceFacts",
    "TimeRange",
    "TimesSampling",
    "Timings",
    "UniformSampling",
    "Usage",
    "VideoFacts",
    "WindowRecord",
    "Windows",
    "Workers",
    "name_output",
    "name_strategy",
]
