#!/usr/bin/env bash
# The container image: built from the Dockerfile by buildah, looked at, and run on a read-only root as its user. Needs root;
# installs buildah and debootstrap.
#
# No registry is asked: both base images are stand-ins, made of this machine's Debian mirror and its Rust, and of the same
# libraries as the real one. What is compiled stays in .tools/container-target for the next time.
#
#   tests/container.sh [--profile release]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

profile=dev
[ "${1:-}" = --profile ] && profile=$2
say() { printf 'container: %s (%ss)\n' "$*" "$SECONDS"; }
fail() { printf 'container: %s\n' "$*" >&2; exit 1; }

missing=()
for tool in buildah debootstrap; do
    command -v "$tool" >/dev/null || missing+=("$tool")
done
if [ "${#missing[@]}" != 0 ]; then
    DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends "${missing[@]}" >/dev/null
fi

work=$(mktemp -d)
store=$work/store
# Its storage is its own: nothing of this machine's images is touched.
b() { buildah --storage-driver vfs --root "$store" --runroot "$work/run" "$@"; }
serving=
cleanup() {
    [ -z "$serving" ] || kill "$serving" 2>/dev/null || true
    b rm --all >/dev/null 2>&1 || true
    rm -rf "$work"
}
trap cleanup EXIT

mirror=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME)' 'Created-By: Packages' |
    awk '$2 == "bookworm" { print $1; exit }')
[ -n "$mirror" ] || fail 'this machine knows no mirror of bookworm'
builder=.tools/bookworm-gcc.tar
if [ ! -e "$builder" ]; then
    debootstrap --variant=minbase --include=binutils,ca-certificates,gcc,libc6-dev bookworm "$work/gcc" "$mirror" \
        >"$work/debootstrap.log" 2>&1 || { tail -n 20 "$work/debootstrap.log" >&2; fail 'debootstrap'; }
    mkdir -p .tools
    tar -C "$work/gcc" -cf "$builder.new" .
    mv "$builder.new" "$builder"
    rm -rf "$work/gcc"
fi

# What distroless/cc has: glibc, libgcc, the public roots, and a user without rights.
mkdir -p "$work/base"
tar -C "$work/base" --wildcards -xf "$builder" ./lib ./lib64 ./usr/lib/x86_64-linux-gnu/'ld-linux*' \
    ./usr/lib/x86_64-linux-gnu/'lib[cm].so.6' ./usr/lib/x86_64-linux-gnu/libgcc_s.so.1 ./usr/lib64 \
    ./etc/ssl/certs/ca-certificates.crt ./etc/nsswitch.conf
mkdir -p "$work/base/tmp"
echo 'nonroot:x:65532:65532:nonroot:/:/sbin/nologin' >"$work/base/etc/passwd"
tar -C "$work/base" -cf "$work/base.tar" .
cargo_home=${CARGO_HOME:-$HOME/.cargo} rustup_home=${RUSTUP_HOME:-$HOME/.rustup}
toolchain=$(rustc --print sysroot)
for image in base:"$work/base.tar" builder:"$PWD/$builder"; do
    from=$(b from scratch)
    b add -q "$from" "${image#*:}" / >/dev/null
    if [ "${image%%:*}" = builder ]; then
        b config --env CARGO_HOME="$cargo_home" --env PATH="$toolchain/bin:/usr/sbin:/usr/bin:/sbin:/bin" "$from"
    fi
    b commit -q "$from" "localhost/${image%%:*}" >/dev/null
    b rm "$from" >/dev/null
done
say 'both stand-ins are there'

mkdir -p .tools/container-target
b bud --quiet --format docker --isolation chroot --build-arg BUILD=localhost/builder --build-arg BASE=localhost/base \
    --build-arg PROFILE="$profile" --volume "$rustup_home:$rustup_home" --volume "$cargo_home:$cargo_home" \
    --volume "$PWD/.tools/container-target:/src/target" \
    --tag wsbump . >"$work/bud.log" 2>&1 || { tail -n 40 "$work/bud.log" >&2; fail 'the image is not built'; }
say 'built'

inspected=$(b inspect --type image wsbump)
has() { printf '%s' "$inspected" | grep -qF "$1" || fail "the image lacks $1"; }
has '"User": "65532:65532"'
has '"/var/lib/wsbump": {}'
has '"/usr/bin/wsbump",'
has '"health",'
has '"StopSignal": "SIGTERM"'
container=$(b from wsbump)
root=$(b mount "$container")
[ "$(stat -c %u:%g "$root/var/lib/wsbump")" = 65532:65532 ] || fail 'the volume has another owner'
[ ! -e "$root/src" ] || fail 'sources are in the image'
say "the program has $(stat -c %s "$root/usr/bin/wsbump") bytes"

# As compose.yaml runs it: nothing to write to but the volume, no rights, its own user.
mkdir "$work/volume"
chown 65532:65532 "$work/volume"
# In place of the shell that calls it, so that its process is the program's.
become() {
    exec unshare --mount sh -c '
        root=$1 volume=$2
        shift 2
        mount --bind "$root" "$root" && mount -o remount,ro,bind "$root" && mount --bind "$volume" "$root/var/lib/wsbump" &&
            exec chroot --userspec=65532:65532 "$root" "$@"' sh "$root" "$work/volume" "$@"
}
run() { (become "$@"); }
export WSBUMP_DATA_DIR=/var/lib/wsbump
run /usr/bin/wsbump check --config /etc/wsbump/wsbump.toml >/dev/null 2>&1 || fail 'its configuration is not good'
become /usr/bin/wsbump run --config /etc/wsbump/wsbump.toml --listen 127.0.0.1:0 --admin unix:/var/lib/wsbump/admin.sock \
    >"$work/out" 2>"$work/err" &
serving=$!
well() { run /usr/bin/wsbump health --admin unix:/var/lib/wsbump/admin.sock >/dev/null 2>&1; }
for _ in $(seq 100); do
    well && break
    kill -0 "$serving" 2>/dev/null || break
    sleep 0.1
done
well || { cat "$work/err" >&2; fail 'it does not serve'; }
[ "$(stat -c '%u %a' "$work/volume/ca.key")" = '65532 600' ] || fail 'the key of its CA is not its own'
kill -TERM "$serving"
wait "$serving" || { cat "$work/err" >&2; fail 'it does not end well'; }
serving=
well && fail 'health is good without a proxy'
say 'runs on a read-only root as its user, answers its health check, and ends well'
