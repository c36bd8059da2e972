#!/usr/bin/env bash
# The test command: installs what the tests need, then runs them. Arguments go to `cargo test`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tests/setup.sh
# Each end-to-end test holds a few dozen sockets, and they run side by side.
ulimit -n "$(ulimit -Hn)"
exec cargo test --locked "$@"
