"""What topics should be, and how an existing one is judged."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from consumers.plans import TopicShape, differences, plan_of, plans
from serve_app.config import settings_from
from serve_app.errors import SettingsError
from serve_app.settings import TopicSettings

TOPICS = TopicSettings(partitions=4, replication_factor=3, retention_hours=2, max_message_mib=5)
PLAN = plan_of("video.requests", TOPICS)


def test_plans_follow_the_settings() -> None:
    """Records are deleted by age and never compacted; receipts are compacted and kept for good."""
    assert PLAN.config == {
        "cleanup.policy": "delete",
        "retention.ms": "7200000",
        "max.message.bytes": "5242880",
        "min.insync.replicas": "2",
    }
    *records, receipts = plans(TOPICS, ["video.requests.retry.5s"])
    assert [plan.name for plan in records] == [
        "video.requests",
        "video.captions",
        "video.requests.dlq",
        "video.requests.retry.5s",
    ]
    assert {(plan.partitions, plan.replication_factor) for plan in records} == {(4, 3)}
    assert (receipts.name, receipts.partitions) == ("video.requests.dlq.replayed", 1)
    assert receipts.config == {"cleanup.policy": "compact", "min.insync.replicas": "2"}


@pytest.mark.parametrize(
    ("replicas", "asked", "in_sync"), [(1, None, 1), (2, None, 1), (3, None, 2), (3, 1, 1)]
)
def test_in_sync_replicas_follow_the_replicas(replicas: int, asked: int | None, in_sync: int) -> None:
    """One less than there are, at least one, unless the setting says otherwise."""
    assert TopicSettings(replication_factor=replicas, min_insync_replicas=asked).in_sync == in_sync


def test_more_in_sync_replicas_than_replicas_are_refused() -> None:
    """Nothing could be written to such a topic."""
    with pytest.raises(ValidationError, match="min_insync_replicas 2 is above replication_factor 1"):
        TopicSettings(min_insync_replicas=2)


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"retention.ms": "-1"},
        {"retention.ms": "7200001"},
        {"max.message.bytes": "9999999", "min.insync.replicas": "3"},
    ],
)
def test_more_than_asked_is_no_difference(config: dict[str, str]) -> None:
    """Longer retention, larger records and more replicas serve as well."""
    assert differences(PLAN, TopicShape(9, 5, {**PLAN.config, **config})) == []


@pytest.mark.parametrize(
    ("shape", "sentence"),
    [
        (TopicShape(3, 3, PLAN.config), "has 3 partitions, topics.partitions asks for 4"),
        (TopicShape(4, 2, PLAN.config), "has 2 replicas, topics.replication_factor asks for 3"),
        (TopicShape(4, 3, refusal="not authorized"), "cannot be checked: not authorized"),
        (
            TopicShape(4, 3, {**PLAN.config, "cleanup.policy": "compact,delete"}),
            "is compacted: records with equal keys will vanish",
        ),
        (
            TopicShape(4, 3, {**PLAN.config, "retention.ms": "1800000"}),
            "keeps records for 0.5 hours, topics.retention_hours asks for 2",
        ),
        (
            TopicShape(4, 3, {**PLAN.config, "max.message.bytes": "1000012"}),
            "takes records up to 1000012 bytes, topics.max_message_mib asks for 5",
        ),
        (
            TopicShape(4, 3, {**PLAN.config, "min.insync.replicas": "1"}),
            "has min.insync.replicas 1, topics.min_insync_replicas asks for 2",
        ),
    ],
)
def test_each_difference_is_one_sentence(shape: TopicShape, sentence: str) -> None:
    """It names the topic, what is and what is asked for."""
    assert differences(PLAN, shape) == [f"topic video.requests {sentence}"]


def test_windows_have_a_topic_where_the_settings_name_one() -> None:
    """It is created and checked like those of other results."""
    topics = TOPICS.model_copy(update={"windows": "video.captions.windows"})
    assert [plan.name for plan in plans(topics)][2:4] == ["video.requests.dlq", "video.captions.windows"]
    with pytest.raises(SettingsError, match=r"topics\.windows: 'video_captions' is refused: the name of top"):
        settings_from({"topics": {"windows": "video_captions"}}, {})
