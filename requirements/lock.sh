#!/usr/bin/env bash
# Resolve requirements/*.in into the locked *.txt files, all with the same versions.
# Usage: requirements/lock.sh    (needs uv; edit the .in files first)
set -euo pipefail
cd "$(dirname "$0")"
all=$(mktemp)
trap 'rm -f "$all"' EXIT
cat ./*.in | grep -v '^-r' | sort -u | uv pip compile -q --python-version 3.11 --no-header --no-annotate - -o "$all"
for image in gateway generation training extraction sandbox demo development; do
  uv pip compile -q --python-version 3.11 --no-header --no-annotate -c "$all" "$image.in" -o "$image.txt"
  # torch: whether it is the CPU or the GPU build, with NVIDIA's libraries, is chosen at installation;
  # openvino-telemetry: OpenVINO works without it, and this project reports nothing to anybody
  sed -i -e 's/^\(torch==[0-9.]*\)+.*/\1/' -e '/^openvino-telemetry==/d' \
    -e '/^\(nvidia-\|cuda-\|triton==\)/d' "$image.txt"
done
