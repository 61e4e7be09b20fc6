#!/usr/bin/env bash
# Resolve requirements/*.in into the locked *.txt files, all with the same versions.
# Usage: requirements/lock.sh    (wants uv; edit the .in files first)
set -euo pipefail
cd "$(dirname "$0")"
all=$(mktemp)
trap 'rm -f "$all"' EXIT
cat ./*.in | grep -v '^-r' | sort -u | uv pip compile -q --python-version 3.11 --no-header --no-annotate - -o "$all"
for image in gateway generation training extraction sandbox demo development; do
  uv pip compile -q --python-version 3.11 --no-header --no-annotate -c "$all" "$image.in" -o "$image.txt"
  # torch: the build for CPUs or GPUs, and with it NVIDIA's libraries, is chosen when it is installed;
  # openvino-telemetry: OpenVINO works without it, and nothing of ours calls home
  sed -i -e 's/^\(torch==[0-9.]*\)+.*/\1/' -e '/^openvino-telemetry==/d' \
    -e '/^\(nvidia-\|cuda-\|triton==\)/d' "$image.txt"
done
