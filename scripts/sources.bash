# The third-party sources of scripts/deps.tsv: their versions, our patches, and where they lie. Sourced by scripts/deps, which
# fetches and builds them, and by whoever reads a source afterwards (licences, templates, test vectors). As a command it prints
# the folder of a source that scripts/deps has unpacked:
#   bash scripts/sources.bash llama.cpp

sources_here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
sources_cache=${XDG_CACHE_HOME:-$HOME/.cache}/cllm

# Column $2 of source $1 in scripts/deps.tsv.
source_column() { awk -F'\t' -v n="$1" -v c="$2" '$1 == n { print $c }' "$sources_here/deps.tsv"; }

# What this project changes in source $1: the patches of its folder in the order of their names, or nothing.
source_patches() { { find "$sources_here/patches/$1" -name '*.patch' 2>/dev/null || true; } | LC_ALL=C sort; }

# Where the archive of source $1 is unpacked and patched. A change of version or patches is another folder.
source_archive_folder() {
  local folder patches
  folder=$sources_cache/src/$1-$(source_column "$1" 3)
  patches=$(source_patches "$1")
  [ -z "$patches" ] || folder+=-$(xargs -d '\n' cat <<<"$patches" | sha256sum | cut -c1-12)
  echo "$folder"
}

# The folder of source $1 itself: llama.cpp's lies inside its archive.
source_folder() {
  case $1 in
    llama.cpp) echo "$(source_archive_folder "$1")/vendor/llama.cpp" ;;
    *) source_archive_folder "$1" ;;
  esac
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
  set -euo pipefail
  source_folder "$1"
fi
