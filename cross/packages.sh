# Packages of the distribution, fetched and unpacked into a folder of ours: nothing is installed, root is not needed.
# To be sourced by bash, with `set -euo pipefail`. Uses the machine's own apt sources (suite, mirror, proxy, keys), but
# lists and downloads of its own, in which arm64 is a foreign architecture whatever `dpkg --print-foreign-architectures`
# says.

HIL_CACHE=${HIL_CACHE:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/.bench}
mkdir -p "$HIL_CACHE"
HIL_CACHE=$(cd "$HIL_CACHE" && pwd)

say() { printf '%s\n' "$*" >&2; }
# Exit code 69, EX_UNAVAILABLE of sysexits.h: something that is needed is not there.
fail() { say "${0##*/}: $*"; exit 69; }
have() { command -v "$1" >/dev/null 2>&1; }

# Servers' and administrators' programs (mke2fs, depmod) are where ordinary users do not look.
PATH=$PATH:/usr/sbin:/sbin

require_apt() {
    have apt-get && have dpkg-deb && return
    fail "this is no Debian or relative (no apt-get). Needed in PATH instead: aarch64-linux-gnu-gcc," \
        "qemu-system-aarch64, cpio, kmod; see hil-tests/README.md"
}

# apt, with state of its own. STATUS names what it takes as installed.
apt() {
    local program=$1 status=$2 host
    shift 2
    host=$(dpkg --print-architecture)
    mkdir -p "$HIL_CACHE"/apt/{lists,archives}/partial
    : >>"$HIL_CACHE/apt/nothing"
    "$program" -q=2 -o Dir::State::Lists="$HIL_CACHE/apt/lists" -o Dir::State::status="$status" \
        -o Dir::State::extended_states="$HIL_CACHE/apt/extended" \
        -o Dir::Cache="$HIL_CACHE/apt" -o Dir::Cache::archives="$HIL_CACHE/apt/archives" \
        -o APT::Architectures::="$host" -o APT::Architectures::=arm64 -o APT::Sandbox::User= \
        -o Acquire::Languages=none -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false \
        -o Debug::NoLocking=1 -o APT::Keep-Downloaded-Packages=true -o Acquire::Retries=3 "$@"
}
INSTALLED=/var/lib/dpkg/status
NOTHING=$HIL_CACHE/apt/nothing

# Package lists, at most a day old.
refresh_lists() {
    require_apt
    local stamp=$HIL_CACHE/apt/refreshed
    [ -n "$(find "$stamp" -mtime -1 2>/dev/null)" ] && return
    mkdir -p "$HIL_CACHE/apt"
    say "reading package lists ..."
    apt apt-get "$INSTALLED" update >&2 || fail "apt-get update failed; are the sources in /etc/apt reachable?"
    touch "$stamp"
}

# The packages that PACKAGE directly depends on, one a line.
depends_of() {
    apt apt-cache "$NOTHING" depends --no-recommends --no-suggests "$1" | sed -n 's/^ *Depends: <\{0,1\}\([^:>]*\).*/\1/p'
}

# Unpacks these packages, and nothing else, into a folder.
unpack_only() {
    local folder=$1
    shift
    unpacked "$folder" "$@" && return
    refresh_lists
    local uris
    uris=$(for package; do apt apt-get "$NOTHING" download --print-uris "$package" || exit; done) ||
        fail "no such packages in the machine's apt sources: $*"
    unpack_uris "$folder" "$uris" "$@"
}

# Unpacks these packages and all they depend on beyond what STATUS says is installed: "$INSTALLED" for programs that run
# here, "$NOTHING" for a file system of its own.
unpack_with_dependencies() {
    local status=$1 folder=$2
    shift 2
    unpacked "$folder" "$@" && return
    refresh_lists
    local uris
    uris=$(apt apt-get "$status" install --yes --no-install-recommends --print-uris "$@" | grep "^'") ||
        fail "cannot be had from the machine's apt sources: $*"
    unpack_uris "$folder" "$uris" "$@"
}

# Whether a folder holds these packages already.
unpacked() { [ "$(cat "$1/.packages" 2>/dev/null)" = "${*:2}" ]; }

# Downloads with apt's own verification of hashes, then unpacks. The list of names is written last: an interrupted run
# begins again.
unpack_uris() {
    local folder=$1 uris=$2 names archives=() name
    shift 2
    rm -rf "$folder"
    mkdir -p "$folder"
    # Lines are: 'URI' FILE SIZE HASH; FILE is NAME_VERSION_ARCHITECTURE.deb with the version's ':' written %3a.
    names=$(awk '{ sub(/\.deb$/, "", $2); split($2, part, "_"); gsub(/%3a/, ":", part[2]);
                   print part[1] ":" part[3] "=" part[2] }' <<<"$uris" | sed 's/:all=/=/')
    say "downloading $(wc -l <<<"$uris") packages, $(awk '{ sum += $3 } END { printf "%.1f", sum / 1e6 }' <<<"$uris") MB: $*"
    # shellcheck disable=SC2086 # names have no spaces
    (cd "$HIL_CACHE/apt/archives" && apt apt-get "$NOTHING" download $names >&2) || fail "the download failed: $*"
    while read -r _ name _; do archives+=("$HIL_CACHE/apt/archives/$name"); done <<<"$uris"
    for name in "${archives[@]}"; do
        # Folders that are links in another package (/lib -> /usr/lib) stay links.
        dpkg-deb --fsys-tarfile "$name" | tar -x --keep-directory-symlink --no-same-owner -C "$folder"
    done
    # Links to absolute paths (/sbin/depmod -> /bin/kmod) stay within the folder.
    find "$folder" -lname '/*' | while read -r name; do
        [ ! -e "$folder$(readlink "$name")" ] || ln -sfn "$folder$(readlink "$name")" "$name"
    done
    rm -f "${archives[@]}"
    printf '%s' "$*" >"$folder/.packages"
}

# Makes FOLDER/usr/bin/PROGRAM callable as $HIL_CACHE/bin/PROGRAM, with the libraries that were unpacked with it.
wrap() {
    local folder=$1 program path libraries
    shift
    libraries=$(find "$folder"/{usr/,}lib -maxdepth 1 -name "$(uname -m)-linux-gnu" 2>/dev/null | paste -sd : || true)
    mkdir -p "$HIL_CACHE/bin"
    for program; do
        for path in "$folder"/{usr/bin,usr/sbin,bin,sbin}/"$program"; do
            [ -x "$path" ] && break
        done
        printf '#!/bin/sh\nLD_LIBRARY_PATH="%s${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" exec "%s" "$@"\n' \
            "$libraries" "$path" >"$HIL_CACHE/bin/$program"
        chmod +x "$HIL_CACHE/bin/$program"
    done
}

# Programs of PACKAGE in PATH: the installed ones, else unpacked ones.
need_tools() {
    local package=$1 folder=$HIL_CACHE/tools/$1
    shift
    [ -e "$folder/.packages" ] || rm -f "${@/#/$HIL_CACHE/bin/}"
    have "$1" && return
    unpack_with_dependencies "$INSTALLED" "$folder" "$package"
    wrap "$folder" "$@"
}

# A compiler for aarch64 in PATH: the installed one, else an unpacked one.
need_cross_gcc() {
    have aarch64-linux-gnu-gcc && return
    unpack_with_dependencies "$INSTALLED" "$HIL_CACHE/gcc" gcc-aarch64-linux-gnu libc6-dev-arm64-cross
    if [ ! -x "$HIL_CACHE/bin/aarch64-linux-gnu-gcc" ]; then
        local tool script
        # Linker scripts name libc by absolute paths; names alone are looked for where the compiler looks anyway.
        for script in "$HIL_CACHE"/gcc/usr/aarch64-linux-gnu/lib/lib*.so; do
            [ -L "$script" ] || ! grep -qI '^GROUP' "$script" || sed -i 's,/usr/aarch64-linux-gnu/lib/,,g' "$script"
        done
        for tool in "$HIL_CACHE"/gcc/usr/bin/aarch64-linux-gnu-*; do wrap "$HIL_CACHE/gcc" "${tool##*/}"; done
    fi
}
PATH=$HIL_CACHE/bin:$PATH
