#!/usr/bin/env bash
# Builds the Debian package for this machine's architecture, and says where it is.
#
#   packaging/build-deb.sh [--profile dev] [--revision N] [--out DIR]
#
# Needs cargo-deb (`cargo install cargo-deb --locked`). With --profile dev it takes seconds, and is for trying the package.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

profile=release revision=1 out=target/debian
while [ $# -gt 0 ]; do
    case $1 in
        --profile) profile=$2 ;;
        --revision) revision=$2 ;;
        --out) out=$2 ;;
        *) echo "what is $1?" >&2; exit 2 ;;
    esac
    shift 2
done
case $profile in dev) folder=debug ;; *) folder=$profile ;; esac

cargo build --locked --quiet --profile "$profile"
wsbump=${CARGO_TARGET_DIR:-target}/$folder/wsbump

# What the program says of itself: the package has it as files.
made=target/package
rm -rf "$made"
mkdir -p "$made/man" "$made/completions" "$out"
"$wsbump" man "$made/man"
gzip -9n "$made"/man/*
"$wsbump" completions bash >"$made/completions/wsbump"
"$wsbump" completions zsh >"$made/completions/_wsbump"
"$wsbump" completions fish >"$made/completions/wsbump.fish"

cargo deb --locked --quiet --no-build --no-dbgsym --strip --profile "$profile" --deb-revision "$revision" --output "$out"
