# The images of all services and jobs: docker build --build-arg IMAGE=gateway . (`make images` builds all)
ARG IMAGE

FROM docker.io/library/python:3.11.14-slim-bookworm AS python
WORKDIR /app
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1

FROM python AS packages
ARG IMAGE
COPY requirements requirements
RUN requirements/install.sh /venv $IMAGE
# some packages carry templates that are not Python
RUN /venv/bin/python -m compileall -q /venv/lib || true

FROM python AS stubs
COPY requirements requirements
RUN requirements/install.sh /venv stubs
COPY protos protos
RUN python -m grpc_tools.protoc -I . --python_out=. --grpc_python_out=. protos/generation/v1/generation.proto

FROM python AS common
COPY --from=packages /venv /venv
COPY contracts contracts
COPY telemetry telemetry

# what each image runs, and nothing else of this repository; a job's module is the container's argument
FROM common AS gateway
COPY --from=stubs /app/protos protos
COPY services/__init__.py services/deferred_aiogram.py services/
COPY services/generation/__init__.py services/generation/client.py services/generation/
COPY services/gateway services/gateway
ENTRYPOINT ["python", "-m", "services.gateway"]

FROM common AS generation
COPY --from=stubs /app/protos protos
COPY moderation moderation
COPY services/__init__.py services/
COPY services/generation services/generation
ENTRYPOINT ["python", "-m", "services.generation"]

FROM common AS sandbox
COPY services/__init__.py services/deferred_aiogram.py services/
COPY services/sandbox services/sandbox
ENTRYPOINT ["python", "-m", "services.sandbox"]

FROM common AS extraction
COPY moderation moderation
COPY extraction_jobs extraction_jobs
ENTRYPOINT ["python", "-m"]

FROM common AS training
# training preloads jemalloc, which reuses large blocks of memory between steps
RUN apt-get update && apt-get install -y --no-install-recommends libjemalloc2 \
  && rm -rf /var/lib/apt/lists/*
COPY moderation moderation
COPY training_jobs training_jobs
ENTRYPOINT ["python", "-m"]

FROM $IMAGE
# a file may be its owner's alone where the image is built
RUN find . ! -perm -go=r -exec chmod go+rX {} + && python -m compileall -q .
USER 10001:10001
