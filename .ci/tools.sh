# shellcheck shell=bash
# Finds and installs the programs of cargo that the scripts here use, below `target/ci-tools`.
ci_tools=$PWD/target/ci-tools
mkdir -p "$ci_tools"
PATH=$ci_tools/bin:$PATH

# Reports what this machine cannot check.
skipped() {
    echo "SKIPPED: $1" >&2
    if [ "${CLAUDE_MESH_REQUIRE_SUPPLY_CHAIN:-}" = 1 ]; then
        exit 1
    fi
}

# Returns whether a program is there, after compiling it if it is missing.
have_tool() {
    command -v "$1" >/dev/null 2>&1 && return
    cargo install "$1" --locked --root "$ci_tools" >"$ci_tools/$1.log" 2>&1
    command -v "$1" >/dev/null 2>&1
}
