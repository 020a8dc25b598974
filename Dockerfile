# The image of all pipeline steps, built by `make image`. Neither it nor its history has secrets.
#
#   make image BASE_IMAGE=registry.example.com/python:3.11-slim
#   make image CUDA=1                       with NVIDIA's libraries, for GPUs
#   make image PIP_CONF=pip.conf CA=ca.pem  with a private index and its certificate authority

ARG BASE_IMAGE=python:3.11-slim

FROM ${BASE_IMAGE} AS build
ARG LOCK=requirements.lock
WORKDIR /src
RUN python3 -m venv /opt/venv
COPY requirements*.lock ./
RUN --mount=type=secret,id=pip,target=/etc/pip.conf --mount=type=secret,id=ca \
    if [ -s /run/secrets/ca ]; then export PIP_CERT=/run/secrets/ca; fi; \
    /opt/venv/bin/pip install --no-cache-dir --no-compile --require-hashes -r "${LOCK}"
COPY . .
RUN --mount=type=secret,id=pip,target=/etc/pip.conf --mount=type=secret,id=ca \
    if [ -s /run/secrets/ca ]; then export PIP_CERT=/run/secrets/ca; fi; \
    /opt/venv/bin/pip install --no-cache-dir --no-compile --no-deps . \
    && /opt/venv/bin/pip uninstall --quiet --yes pip setuptools \
    && rm -rf /opt/venv/lib/python3*/site-packages/tensorflow/include \
    && cd /opt/venv && ln -s lib/python3*/site-packages/kfp_finetune/pipelines/finetune/sample sample \
    && find /opt/venv -depth -type d -name tests -exec rm -rf {} + \
    && python3 -m compileall -q -j 0 /opt/venv

FROM ${BASE_IMAGE}
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="kfp-finetune" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /opt/venv /opt/venv
# Steps only write to /tmp and the artifacts' paths, so any user and a read-only root work. There is
# no ENTRYPOINT, because KFP's Docker runner would prepend it to the step's command.
ENV PATH=/opt/venv/bin:${PATH} \
    HOME=/tmp \
    LOGNAME=kfp-finetune \
    PYTHONUNBUFFERED=1
USER 1000:1000
