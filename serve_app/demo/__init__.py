"""``make demo``: the main job on one machine, start to end."""
