#!/usr/bin/env bash
# Puts a static LLVM where burn's `cuda` feature looks for one, from Debian's packages.
#
# The feature generates its kernels with LLVM, linked into the program. The crate tracel-llvm-bundler downloads a prebuilt
# one while it is compiled, unless its folder under ~/.local/share/tracel holds one already. Where that download is
# impossible but a Debian mirror can be reached, this script fills the folder instead: headers and archives of Debian
# unstable's llvm-<major>-dev, reduced to the NVPTX target, and a small llvm-config that describes them. Nothing is
# installed into the system. About 130 MB are downloaded and 700 MB kept.
#
#   scripts/llvm-for-cuda.sh [--force]
#
# A type check needs no LLVM at all: DOCS_RS=1 cargo check -p entropo-train --no-default-features --features cuda
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { printf 'llvm-for-cuda: %s\n' "$*" >&2; exit 1; }

# The version that Cargo.lock asks for, such as 23.1.0-4.
release=$(awk '$0 == "name = \"tracel-llvm-bundler\"" { getline; gsub(/"/, "", $3); print $3; exit }' Cargo.lock)
[ -n "$release" ] || fail "Cargo.lock names no tracel-llvm-bundler; burn's cuda feature has changed, and so must this script"
version=${release%%-*} major=${release%%.*}
[ "$(uname -sm)" = "Linux x86_64" ] || fail "written for Linux on x86_64, this is $(uname -sm)"
for tool in apt-get dpkg-deb cc ar; do command -v "$tool" >/dev/null || fail "$tool is missing: a Debian with build-essential is needed"; done

home=${XDG_DATA_HOME:-$HOME/.local/share}/tracel/tracel-llvm-$release
sentinel=.tracel-llvm-installed # what the bundler takes for a complete folder
if [ -e "$home/$sentinel" ] && [ "${1:-}" != --force ]; then echo "already there: $home"; exit 0; fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# --- packages of Debian unstable, with lists and cache of our own, checked against Debian's keys ---------------------------
mirror=$(grep -rhoE '(https?|mirror\+file)://[^ ]+/debian/?( |$)' /etc/apt/sources.list /etc/apt/sources.list.d 2>/dev/null | head -n 1 | tr -d ' ' || true)
: "${mirror:=http://deb.debian.org/debian}"
keys=/usr/share/keyrings/debian-archive-keyring.gpg
mkdir -p "$scratch"/lists/partial "$scratch"/archives/partial "$scratch"/packages
echo "deb [signed-by=$keys] $mirror sid main" >"$scratch/sources"
unstable() {
    local command=$1
    shift
    "$command" -o Dir::Etc::SourceList="$scratch/sources" -o Dir::Etc::SourceParts=- -o Dir::State::Lists="$scratch/lists" \
        -o Dir::Cache::Archives="$scratch/archives" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= \
        -o APT::Sandbox::User=root "$@"
}
unstable apt-get -qq update || fail "cannot read Debian unstable at $mirror"
newest=$(unstable apt-cache pkgnames libstdc++- | grep -xE 'libstdc\+\+-[0-9]+-dev' | sort -t- -k2n | tail -n 1)
(cd "$scratch/packages" && unstable apt-get -qq download "llvm-$major-dev" "$newest" libzstd-dev zlib1g-dev) ||
    fail "Debian unstable has no llvm-$major-dev (any more); burn $(awk '$0 == "name = \"burn\"" { getline; print $3; exit }' Cargo.lock) needs LLVM $version"
for package in "$scratch"/packages/*.deb; do dpkg-deb --extract "$package" "$scratch/root"; done
usr=$scratch/root/usr

# --- the folder, made beside its place and moved there when complete -------------------------------------------------------
new=$home.new
rm -rf "$new" && mkdir -p "$new"/bin "$new"/lib "$new"/include
cp -r "$usr/include/llvm-$major/llvm" "$new/include/"
if [ -d "$usr/include/llvm-c-$major" ]; then cp -r "$usr/include/llvm-c-$major/llvm-c" "$new/include/"
else cp -r "$usr/include/llvm-$major/llvm-c" "$new/include/"; fi

# The lists of targets that the headers expand: NVPTX has code generation and a printer, no parser and no disassembler.
targets() { printf '#ifndef %s\n#define %s(name)\n#endif\n%s#undef %s\n' "$1" "$1" "${2:+$1($2)
}" "$1"; }
config=$new/include/llvm/Config
targets LLVM_TARGET NVPTX >"$config/Targets.def"
targets LLVM_ASM_PRINTER NVPTX >"$config/AsmPrinters.def"
targets LLVM_ASM_PARSER >"$config/AsmParsers.def"
targets LLVM_DISASSEMBLER >"$config/Disassemblers.def"
# No code for the host is generated.
sed -i -E 's/^#define (LLVM_NATIVE_[A-Z]+).*/#undef \1/' "$config/llvm-config.h"

# Archives: LLVM's own, but of the targets only NVPTX.
others='AArch64|AMDGPU|ARM|AVR|BPF|Hexagon|Lanai|LoongArch|M68k|Mips|MSP430|PowerPC|RISCV|SPIRV|Sparc|SystemZ|VE|WebAssembly|X86|XCore|Xtensa'
libraries=
for archive in "$usr/lib/llvm-$major/lib"/libLLVM*.a; do
    name=$(basename "$archive" .a)
    if grep -qE "^libLLVM($others)([A-Z].*)?$" <<<"$name"; then continue; fi
    cp "$archive" "$new/lib/"
    libraries+=" -l${name#lib}"
done
[ -e "$new/lib/libLLVMNVPTXCodeGen.a" ] || fail "llvm-$major-dev has no archives of the NVPTX target"

# They were compiled against unstable's C++ library, which knows more than an older one: it comes along.
for archive in libstdc++ libzstd libz; do
    cp "$(find "$usr/lib" -name "$archive.a" -print -quit)" "$new/lib/${archive//+/x}_unstable.a"
    name=${archive//+/x}_unstable libraries+=" -l${name#lib}"
done
# Headers of a newer glibc give number parsing other names. The old functions read the same numbers, binary ones aside.
{
    echo '#include <inttypes.h>'
    echo '#include <stdlib.h>'
    for each in strtol:long strtoul:'unsigned long' strtoll:'long long' strtoull:'unsigned long long' strtoimax:intmax_t strtoumax:uintmax_t; do
        echo "${each#*:} __isoc23_${each%%:*}(const char *text, char **end, int base) { return ${each%%:*}(text, end, base); }"
    done
} >"$scratch/names.c"
cc -O2 -fPIC -c "$scratch/names.c" -o "$scratch/names.o"
ar rcs "$new/lib/libglibc_names.a" "$scratch/names.o"
libraries+=" -lglibc_names"

cat >"$new/bin/llvm-config" <<SH
#!/bin/sh
# Answers what the bundler asks, one question a call.
for asked; do
    case \$asked in
    --version) echo $version ;;
    --libdir) echo '$home/lib' ;;
    --includedir) echo '$home/include' ;;
    --libs | --libnames) echo '${libraries# }' ;;
    --system-libs) echo '-lrt -ldl -lm' ;;
    --cflags) echo '-I$home/include -D_GNU_SOURCE' ;;
    --cxxflags) echo '-I$home/include -std=c++17 -fno-exceptions -fno-rtti -D_GNU_SOURCE' ;;
    esac
done
SH
chmod +x "$new/bin/llvm-config"
touch "$new/$sentinel"
rm -rf "$home" && mv "$new" "$home"
echo "ready: $home ($(du -sh "$home" | cut -f 1))"
