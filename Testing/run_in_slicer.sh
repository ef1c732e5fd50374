#!/usr/bin/env bash
# Runs the module's self-test in a real Slicer: run_in_slicer.sh /path/to/Slicer [--no-main-window]
# The exit code is 0 only if every test ran and passed; what computes must not be skipped here.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
slicer=$1
shift

display=()
if [ "$(uname)" = Linux ] && [ -z "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ]; then
    command -v xvfb-run >/dev/null || { echo "There is no display; on Debian: apt install xvfb"; exit 1; }
    display=(xvfb-run --auto-servernum --server-args "-screen 0 1600x1200x24")
fi

SRDYNAMICMRI_NEED_TORCH=1 ${display[@]+"${display[@]}"} "$slicer" --testing --no-splash --ignore-slicerrc --disable-cli-modules \
    --additional-module-paths "$root/SRDynamicMRI" "$@" --python-script "$root/Testing/self_test_in_slicer.py"
