# shellcheck shell=bash
# Finds and installs the programs of cargo that the scripts here use, below `target/ci-tools`.
ci_tools=$PWD/target/ci-tools
mkdir -p "$ci_tools"
PATH=$ci_tools/venv/bin:$ci_tools/bin:$PATH

# Reports what this machine cannot check.
skipped() {
    echo "SKIPPED: $1" >&2
    if [ "${CLAUDE_MESH_REQUIRE_SUPPLY_CHAIN:-}" = 1 ]; then
        exit 1
    fi
}

# Returns whether a program is there, after installing it if it is missing: as it was built (`.ci/tools.txt`), or compiled if
# that takes at most a few minutes.
have_tool() {
    command -v "$1" >/dev/null 2>&1 && return
    case $1 in
    cargo-deny) install_built "$1" ;;
    cargo-fuzz) install_built "$1" || compile "$1" ;;
    *) compile "$1" ;;
    esac
    command -v "$1" >/dev/null 2>&1
}

install_built() {
    [ -x "$ci_tools/venv/bin/python3" ] || python3 -m venv "$ci_tools/venv" || return 1
    "$ci_tools/venv/bin/python3" -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps \
        --only-binary :all: -r .ci/tools.txt >"$ci_tools/$1.log" 2>&1 && [ -x "$ci_tools/venv/bin/$1" ]
}

compile() {
    cargo install "$1" --locked --root "$ci_tools" >"$ci_tools/$1.log" 2>&1
}
