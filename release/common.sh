# What the scripts of a release share; they read it. It sets `root`, `version`, `programs`, `owner` and `owner_files`.
root=$(cd "$(dirname "$0")/.." && pwd)
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$root/Cargo.toml" | head -n 1)
owner=$(sed -n 's|^repository = "https://[^/]*/\([^/]*\)/claude-mesh"$|\1|p' "$root/Cargo.toml")
# The files that name the owner.
owner_files="Cargo.toml docs/plugin.md plugin/mesh/README.md"
programs=$(grep -v '^#' "$root/release/programs")

fail() {
  echo "${0##*/}: $1" >&2
  exit 1
}

# Copies the programs of the folder $1 into the folder $2.
copy_programs() {
  mkdir -p "$2"
  for program in $programs; do
    [ -x "$1/$program" ] || fail "$1/$program is missing; build it with: cargo build --release --locked"
    cp "$1/$program" "$2/$program"
    chmod 755 "$2/$program"
  done
}
