# nrtune with everything it needs, at the versions of constraints.txt; for Docker, Kubernetes and Apptainer.
#
#   docker build -t nrtune .                                 for CPUs
#   docker build --build-arg TORCH=cu130 -t nrtune:cu130 .   for NVIDIA GPUs (any of PyTorch's CUDA versions)
#   apptainer build nrtune.sif docker-daemon:nrtune:latest
FROM python:3.11-slim-bookworm

ARG TORCH=cpu

# KubeRay's probes ask by wget; ray[default] has the dashboard that it submits jobs to.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends wget \
 && rm -rf /var/lib/apt/lists/*

COPY constraints.txt /tmp/nrtune/
RUN python -m venv /opt/nrtune \
 && /opt/nrtune/bin/pip install --no-cache-dir --constraint /tmp/nrtune/constraints.txt \
    --index-url "https://download.pytorch.org/whl/$TORCH" --extra-index-url https://pypi.org/simple torch
COPY . /tmp/nrtune
RUN /opt/nrtune/bin/pip install --no-cache-dir --constraint /tmp/nrtune/constraints.txt "/tmp/nrtune[cluster]" \
 && rm -rf /tmp/nrtune

RUN useradd --uid 1000 --create-home nrtune
USER nrtune
WORKDIR /home/nrtune
ENV PATH=/opt/nrtune/bin:$PATH RAY_USAGE_STATS_ENABLED=0
CMD ["nrtune", "--help"]
