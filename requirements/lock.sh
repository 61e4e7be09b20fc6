#!/usr/bin/env bash
# Resolve requirements/*.in into the locked *.txt files, all with the same versions, with the hashes of their files.
# Usage: requirements/lock.sh    (needs uv; edit the .in files first)
set -euo pipefail
cd "$(dirname "$0")"
images=(gateway generation training extraction sandbox demo development stubs)
all=$(mktemp)
trap 'rm -f "$all"' EXIT
lock() { uv pip compile -q --python-version 3.11 --no-header --no-annotate "$@"; }

cat common.in "${images[@]/%/.in}" | grep -v '^-r' | sort -u | lock - -o "$all"
for image in "${images[@]}"; do
  # OpenVINO works without its telemetry, and this project reports nothing to anybody;
  # tokenizers wants the hub's client, with which nothing is downloaded where models are only served
  unused=(openvino-telemetry)
  case $image in training | development) ;; *) unused+=(huggingface-hub) ;; esac
  # torch: whether it is the CPU or the GPU build, with NVIDIA's libraries, is chosen at installation
  lock --generate-hashes -c "$all" --override <(printf '%s; python_version < "3"\n' "${unused[@]}") "$image.in" |
    awk '/^[^ ]/ {skip = /^(cuda-|nvidia-|torch==|triton==)/}
         /^torch==/ {sub(/[+ ].*/, ""); print}
         !skip' > "$image.txt"
done
lock --generate-hashes --no-deps openvino-export.in -o openvino-export.txt
