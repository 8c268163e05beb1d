#!/usr/bin/env bash
# Builds examples/gpu-check for CUDA here, where there is a compiler, and packs it for a machine with a GPU.
#
# The package needs there: x86_64 Linux with glibc 2.36 or newer, NVIDIA's driver, and nothing of CUDA. It is one archive
# under 64 MiB: the program, the reference data, and libdevice, NVIDIA's mathematical functions as LLVM bitcode, which the
# kernels are linked with when they are compiled there. libdevice comes from a CUDA toolkit on this machine or from the
# PyPI package nvidia-nvvm; NVIDIA's licence lets it be passed on.
#
#   scripts/gpu-check.sh [--backend cuda|wgpu|flex] [--jobs N] [--output FILE]
#
# With --backend wgpu it is built for Vulkan instead, which needs no LLVM; with flex for the CPU, to try the package.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { printf 'gpu-check: %s\n' "$*" >&2; exit 1; }

backend=cuda jobs=() output=
while [ $# -gt 0 ]; do
    case $1 in
    --backend) backend=${2:?--backend cuda, wgpu or flex}; shift 2 ;;
    --jobs) jobs=(-j "${2:?--jobs N}"); shift 2 ;;
    --output) output=${2:?--output FILE}; shift 2 ;;
    *) fail "unknown argument $1; see the head of this script" ;;
    esac
done
case $backend in cuda | wgpu | flex) ;; *) fail "--backend is cuda, wgpu or flex, not $backend" ;; esac
limit=$((64 << 20)) # what the package may have, in bytes
target=${CARGO_TARGET_DIR:-target}
: "${output:=$target/gpu-check-$backend.tar.xz}"

if [ "$backend" = cuda ]; then
    # Where LLVM can be downloaded the build does that itself; elsewhere Debian's takes its place.
    scripts/llvm-for-cuda.sh || echo "gpu-check: going on without Debian's LLVM; the build will try to download one" >&2
fi
cargo build --locked --profile gpu-check -p gpu-check --no-default-features --features "$backend" "${jobs[@]}"
program=$target/gpu-check/gpu-check

# Only what every Linux has may be asked for by name; the driver is looked for at run time.
if ldd "$program" | grep -E 'libcuda|libnv|libcublas|libLLVM'; then fail "linked to a library of CUDA or LLVM"; fi

package=$(mktemp -d)
trap 'rm -rf "$package"' EXIT
mkdir -p "$package/gpu-check/fixtures"
cp "$program" "$package/gpu-check/gpu-check"
strip "$package/gpu-check/gpu-check"
cp -r tests/fixtures/models tests/fixtures/training "$package/gpu-check/fixtures/"

if [ "$backend" = cuda ]; then
    place=nvvm/libdevice/libdevice.10.bc found=
    for root in "${CUDA_PATH:-}" /usr/local/cuda /opt/cuda /usr/lib/cuda /usr; do
        if [ -n "$root" ] && [ -f "$root/$place" ]; then found=$root/$place; break; fi
    done
    if [ -z "$found" ]; then
        python3 -m pip download --quiet --no-deps --only-binary=:all: --dest "$package/wheel" nvidia-nvvm ||
            fail "no CUDA toolkit here and no nvidia-nvvm from PyPI; set CUDA_PATH to a folder with $place"
        python3 - "$package" <<'PY'
import pathlib, sys, zipfile
package = pathlib.Path(sys.argv[1])
with zipfile.ZipFile(next((package / "wheel").glob("*.whl"))) as wheel:
    name = next(name for name in wheel.namelist() if name.endswith("nvvm/libdevice/libdevice.10.bc"))
    (package / "libdevice.10.bc").write_bytes(wheel.read(name))
PY
        found=$package/libdevice.10.bc
    fi
    mkdir -p "$package/gpu-check/cuda/${place%/*}"
    cp "$found" "$package/gpu-check/cuda/$place"
fi

# The program is started through this, which finds what lies beside it.
cat >"$package/gpu-check/run.sh" <<'SH'
#!/bin/sh
# All arguments are gpu-check's; see --help.
here=$(cd "$(dirname "$0")" && pwd)
# burn looks for libdevice in the toolkit; this folder takes the toolkit's place unless one is named.
if [ -d "$here/cuda" ]; then export CUDA_PATH="${CUDA_PATH:-$here/cuda}"; fi
# Kernels once compiled are kept there, and the choices among them.
export XDG_CACHE_HOME="${XDG_CACHE_HOME:-$here/cache}" XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-/tmp}"
exec "$here/gpu-check" --fixtures "$here/fixtures" "$@"
SH
chmod +x "$package/gpu-check/run.sh"

mkdir -p "$(dirname "$output")"
tar -C "$package" --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -cf - gpu-check | xz -T1 -6 >"$output.part"
mv "$output.part" "$output"
bytes=$(stat -c %s "$output")
[ "$bytes" -le "$limit" ] || fail "$output has $bytes bytes, more than the $limit that it may have"

cat <<TEXT
$output: $((bytes >> 10)) KiB packed, program $(($(stat -c %s "$package/gpu-check/gpu-check") >> 10)) KiB

On the machine with the GPU (an H100's peak; leave it out or give your card's):

  tar -xJf $(basename "$output") && gpu-check/run.sh --peak-tflops 989 > gpu-check.json

Parts alone: --only fixtures,smoke,soak,bench; cheaper benches: --shapes 0.5b --lengths 4096.
TEXT
