"""From a container to frames with true times, without Ray or Kafka."""
