#!/usr/bin/env bash
# The Debian package, from its build to its purge: built, held against lintian, and in a Debian of its own installed,
# used, upgraded, removed and purged. Needs root, and what it installs here: cargo-deb, debootstrap, lintian.
#
#   tests/package.sh [--profile release]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

profile=dev
[ "${1:-}" = --profile ] && profile=$2
say() { printf 'package: %s (%ss)\n' "$*" "$SECONDS"; }
fail() { printf 'package: %s\n' "$*" >&2; exit 1; }

missing=()
for tool in debootstrap lintian; do
    command -v "$tool" >/dev/null || missing+=("$tool")
done
command -v systemd-nspawn >/dev/null || missing+=(systemd-container)
if [ "${#missing[@]}" != 0 ]; then
    DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends "${missing[@]}" >/dev/null
fi
command -v cargo-deb >/dev/null || cargo install cargo-deb --locked

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
packaging/build-deb.sh --profile "$profile" --revision 1 --out "$work/first"
packaging/build-deb.sh --profile "$profile" --revision 2 --out "$work/second"
first=$(echo "$work"/first/*.deb) second=$(echo "$work"/second/*.deb)
say "built $(basename "$first"), $(stat -c %s "$first") bytes"

lintian --allow-root --fail-on error,warning "$first"
say 'lintian: clean'

# The mirror of this machine, whichever that is.
mirror=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME)' 'Created-By: Packages' |
    awk '$2 == "bookworm" { print $1; exit }')
[ -n "$mirror" ] || fail 'this machine knows no mirror of bookworm'
base=.tools/bookworm.tar
if [ ! -e "$base" ]; then
    debootstrap --variant=minbase --include=adduser,ca-certificates,logrotate,procps,systemd bookworm "$work/base" "$mirror" \
        >"$work/debootstrap.log" 2>&1 || { tail -n 20 "$work/debootstrap.log" >&2; fail 'debootstrap'; }
    mkdir -p .tools
    tar -C "$work/base" -cf "$base.new" .
    mv "$base.new" "$base"
    rm -rf "$work/base"
fi
root=$work/root
mkdir "$root"
tar -C "$root" -xf "$base"
say 'a Debian of its own'

# Commands run in it with a /proc that is gone with them. There is no systemd to start anything until tests/booted.sh boots it.
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"
in_root() {
    unshare --mount --pid --fork chroot "$root" /bin/sh -c 'mount -t proc proc /proc && exec "$@"' sh \
        env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root DEBIAN_FRONTEND=noninteractive "$@"
}
as_user() { in_root setpriv --reuid wsbump --regid wsbump --clear-groups "$@"; }
is() { # is WHAT EXPECTED COMMAND...
    local what=$1 expected=$2 said
    shift 2
    said=$("$@")
    [ "$said" = "$expected" ] || fail "$what: $said, and not $expected"
}

cp "$first" "$second" "$root/root/"
in_root dpkg -i "/root/$(basename "$first")" >"$work/dpkg.log" 2>&1 || { cat "$work/dpkg.log" >&2; fail install; }
is 'the state folder' 'wsbump:wsbump 700' in_root stat -c '%U:%G %a' /var/lib/wsbump
is 'the configuration folder' 'root:wsbump 750' in_root stat -c '%U:%G %a' /etc/wsbump
in_root systemctl is-enabled wsbump >/dev/null || fail 'the unit is not enabled'
in_root systemd-analyze verify --man=no wsbump.service
exposure=$(in_root systemd-analyze security --offline=true --no-pager wsbump.service |
    sed -n 's/.*Overall exposure level.*: \([0-9.]*\) .*/\1/p')
awk -v level="$exposure" 'BEGIN { exit !(level != "" && level < 2) }' || fail "exposure level: $exposure"
say "installed; exposure level of the unit: $exposure"

as_user wsbump check --config /etc/wsbump/wsbump.toml >/dev/null
for rules in downloads secrets uploads; do
    as_user wsbump test-rules "/etc/wsbump/rules/$rules.toml" --message hello >/dev/null
done
in_root test -e /usr/share/man/man1/wsbump-doctor.1.gz || fail 'no manual'
in_root bash -n /usr/share/bash-completion/completions/wsbump
in_root logrotate --debug /etc/logrotate.d/wsbump >"$work/logrotate.log" 2>&1 || { cat "$work/logrotate.log" >&2; fail logrotate; }

# As the unit runs it: the user, the folders, the manager's socket.
as_user env STATE_DIRECTORY=/var/lib/wsbump sh -c '
    wsbump run --config /etc/wsbump/wsbump.toml --listen 127.0.0.1:0 --admin unix:/var/lib/wsbump/admin.sock \
        2>/tmp/wsbump.err >/dev/null &
    for _ in $(seq 200); do
        wsbump health --ready --admin unix:/var/lib/wsbump/admin.sock >/dev/null 2>&1 && break
        sleep 0.05
    done
    wsbump health --ready --admin unix:/var/lib/wsbump/admin.sock && kill -TERM $! && wait $!' >"$work/run.log" ||
    { cat "$work/run.log" "$root/tmp/wsbump.err" >&2; fail 'it does not run'; }
is 'the key of its CA' 'wsbump:wsbump 600' in_root stat -c '%U:%G %a' /var/lib/wsbump/ca.key
fingerprint=$(as_user env STATE_DIRECTORY=/var/lib/wsbump wsbump ca show)
say 'runs as its user, and ends well'
tests/booted.sh "$root" >"$work/booted.log" 2>&1 || { cat "$work/booted.log" >&2; fail 'under systemd'; }
say 'runs under systemd: ready, hardened, reloaded, ended when it hangs, drained'

# What the operator wrote and what the proxy made outlive an upgrade and a removal.
echo '# the operator was here' >>"$root/etc/wsbump/wsbump.toml"
in_root dpkg --force-confold -i "/root/$(basename "$second")" >"$work/dpkg.log" 2>&1 || { cat "$work/dpkg.log" >&2; fail upgrade; }
is 'the version' '0.1.0-2' in_root dpkg-query -W -f '${Version}' wsbump
grep -q 'the operator was here' "$root/etc/wsbump/wsbump.toml" || fail 'the configuration was replaced'
is 'the CA after the upgrade' "$fingerprint" as_user env STATE_DIRECTORY=/var/lib/wsbump wsbump ca show
say 'upgraded'

in_root dpkg -r wsbump >/dev/null
[ ! -e "$root/usr/bin/wsbump" ] || fail 'the program is still there'
grep -q 'the operator was here' "$root/etc/wsbump/wsbump.toml" || fail 'the configuration is gone'
[ -e "$root/var/lib/wsbump/ca.key" ] || fail 'the CA is gone'
say 'removed; configuration and CA stay'

in_root dpkg -P wsbump >/dev/null
for left in /etc/wsbump /var/lib/wsbump /var/log/wsbump /etc/logrotate.d/wsbump /usr/share/doc/wsbump; do
    [ ! -e "$root$left" ] || fail "$left is still there"
done
! grep -q '^wsbump:' "$root/etc/passwd" || fail 'the user is still there'
say 'purged; nothing is left'
