# Sourced by `compare` and `instructions`: the benchmark built, its workloads exported to $work, and C from cantools.
python3 -c 'import cantools' 2>/dev/null || {
    echo "$0: Python has no cantools here: pip install cantools" >&2
    exit 1
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# bench_program [CARGO-OPTION...]: builds it and prints its path.
bench_program() {
    cargo bench -p can-decode --bench decode --no-run --message-format=json "$@" |
        sed -n 's/.*"name":"decode".*"executable":"\([^"]*\)".*/\1/p'
}

# generate_c BENCH: into $work, the frames and a folder of C for each workload; sets $names.
generate_c() {
    local name
    "$1" --export "$work"
    names=$(cd "$work" && ls ./*.frames | sed 's|^./||; s|.frames$||')
    for name in $names; do
        mkdir "$work/$name"
        cp "$here/frame.h" "$here/peer_main.c" "$work/$name"
        python3 "$here/cantools_c.py" "$(cat "$work/$name.dbc-path")" "$work/$name"
    done
}

# compile NAME OUTPUT COMPILER OPTION...: the C of a workload.
compile() {
    local name=$1 output=$2
    shift 2
    (cd "$work/$name" && "$@" -o "$output" peer_main.c dispatch.c peer.c)
}
