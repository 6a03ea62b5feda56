# One image for every tier; the GPU tier adds the extra: --build-arg EXTRAS=vllm
FROM python:3.12-slim AS build
WORKDIR /src
COPY requirements requirements
RUN python -m venv /opt/capstream && /opt/capstream/bin/pip install --no-cache-dir uv \
    && /opt/capstream/bin/uv pip sync --require-hashes --python /opt/capstream/bin/python requirements/demo.txt
COPY pyproject.toml README.md ./
COPY serve_app serve_app
COPY consumers consumers
ARG EXTRAS=""
RUN /opt/capstream/bin/uv pip install --no-deps --no-build-isolation --python /opt/capstream/bin/python . \
    && if [ -n "$EXTRAS" ]; then \
         /opt/capstream/bin/uv pip install --python /opt/capstream/bin/python ".[$EXTRAS]"; fi

FROM python:3.12-slim
# KubeRay's probes call wget.
RUN apt-get update && apt-get install -y --no-install-recommends wget && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 10001 capstream
COPY --from=build /opt/capstream /opt/capstream
WORKDIR /home/capstream
COPY --chown=capstream configs configs
ENV PATH=/opt/capstream/bin:$PATH \
    RAY_USAGE_STATS_ENABLED=0 \
    PYTHONUNBUFFERED=1
USER capstream

# Serve drains on SIGINT only; on SIGTERM replicas are cut off.
STOPSIGNAL SIGINT
# HTTP listens on 127.0.0.1: a YAML of your own with http_options.host opens it to others.
CMD ["serve", "run", "configs/serve.kafka.yaml"]
