#!/usr/bin/env bash
# Install exactly what a lock names: requirements/install.sh VENV [LOCK]
#
# LOCK is an image's name, or `development` (the default). optimum-intel declares torchvision, which
# nothing here uses and which does not work with some builds of torch. The lock leaves it out, so
# everything except torch is installed without dependencies, and only if its hash is in the lock.
# Torch comes last with its own: none for a CPU build, NVIDIA's libraries for a CUDA build. The two
# builds have different hashes, so for torch and these the index is trusted.
set -euo pipefail
venv=$1
here=$(dirname "$0")
lock=$here/${2:-development}.txt
cpu_index=https://download.pytorch.org/whl/cpu

exec 9< "$0"
flock -n 9 || { echo "waiting: another installation is at work here" >&2; flock 9; }

"${PYTHON3:-python3}" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
  { echo "error: Python 3.11 or later is needed; name it by PYTHON3=python3.11 before make" >&2; exit 2; }
# what a kill has broken off pip would take for installed; it writes INSTALLER after all files of a package
for info in "$venv"/lib/python*/site-packages/*.dist-info; do
  [ ! -d "$info" ] || [ -e "$info/INSTALLER" ] || rm -rf "$info"
done
"${PYTHON3:-python3}" -m venv "$venv"
# bytecode is compiled at the first import, because most files are never imported
pip() {
  local said
  said=$("$venv/bin/python" -m pip install -qq --disable-pip-version-check --no-warn-conflicts \
    --no-compile "$@" 2>&1) && return
  case $said in
    *"No space left"*) said="ERROR: no space left on the disk of $venv or of ${TMPDIR:-/tmp}" ;;
    *"connection broken"*) said="ERROR: PyPI cannot be reached; with a network, try again" ;;
  esac
  echo "$said" >&2
  return 1
}

torch=$(grep '^torch==' "$lock" || true)
pip --require-hashes --no-deps -r <(grep -v '^torch==' "$lock") ${torch:+-r "$here/openvino-export.txt"}
[ -n "$torch" ] || exit 0

# PyPI's torch for Linux is a CUDA build of several GB: prefer the CPU build where its index answers
extra=()
if "$venv/bin/python" -c "import urllib.request as u; u.urlopen('$cpu_index/torch/', timeout=3)" 2>/dev/null; then
  extra=(--extra-index-url "$cpu_index")
fi
pip "${extra[@]}" "$torch"
