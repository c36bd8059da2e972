#!/usr/bin/env bash
# The unit under a real systemd: boots a Debian in which the package is installed, as a machine without a network, and looks at
# what the manager makes of the service. Changes the folder of that Debian.
#
#   tests/booted.sh ROOT
#
# Needs root and systemd-nspawn (Debian's systemd-container).
set -euo pipefail
root=$1
fail() { printf 'booted: %s\n' "$*" >&2; exit 1; }

# So that a hang is found within seconds, and its end is not waited for.
mkdir -p "$root/etc/systemd/system/wsbump.service.d"
printf '[Service]\nWatchdogSec=3s\nTimeoutAbortSec=1s\n' >"$root/etc/systemd/system/wsbump.service.d/soon.conf"
# What is looked at, from inside; its result is the machine's last word.
cat >"$root/etc/systemd/system/look.service" <<'END'
[Unit]
After=wsbump.service
SuccessAction=exit-force
FailureAction=exit-force
[Service]
Type=oneshot
TimeoutStartSec=120s
ExecStart=/bin/bash /opt/look.sh
StandardOutput=file:/opt/look.log
StandardError=file:/opt/look.log
END
mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
ln -sf ../look.service "$root/etc/systemd/system/multi-user.target.wants/look.service"
cat >"$root/opt/look.sh" <<'END'
set -euo pipefail
show() { systemctl show --value --property "$1" wsbump; }
is() { [ "$2" = "$3" ] || { echo "$1 is $2, and not $3"; systemctl status --no-pager wsbump; journalctl --no-pager -u wsbump | tail -n 30; exit 1; }; }
said() { journalctl --no-pager -u wsbump >/opt/journal && grep -q "$1" /opt/journal; }
wait_for() { # wait_for WHAT COMMAND...
    local what=$1
    shift
    for _ in $(seq 600); do "$@" && return; sleep 0.1; done
    is "$what" 'not so' so
}

# Started means that it listens.
is 'the service' "$(systemctl is-active wsbump)" active
is 'its type' "$(show Type)" notify
is 'its user' "$(stat -c %U "/proc/$(show MainPID)")" wsbump
wsbump health --ready --config /etc/wsbump/wsbump.toml >/dev/null
is 'the folder of its CA' "$(stat -c '%U %a' /var/lib/wsbump)" 'wsbump 700'
echo 'started: ready, as its user, with its CA'

# What the unit takes away is gone.
is 'its rights' "$(sed -n 's/^CapEff:\t//p' "/proc/$(show MainPID)/status")" 0000000000000000
is 'new rights' "$(sed -n 's/^NoNewPrivs:\t//p' "/proc/$(show MainPID)/status")" 1
is 'its filter of system calls' "$(sed -n 's/^Seccomp:\t//p' "/proc/$(show MainPID)/status")" 2
limit() { awk '/^Max open files/ { print $5 }' "/proc/$1/limits"; }
# No more than this machine may have.
most=$(limit 1)
is 'its limit of open files' "$(limit "$(show MainPID)")" "$((most < 65536 ? most : 65536))"
echo 'hardened'

before=$(show MainPID)
systemctl reload wsbump
wait_for 'the reload' said 'configuration reloaded'
is 'its process' "$(show MainPID)" "$before"
echo 'reloaded: the same process'

# One that hangs is ended and started again.
kill -STOP "$before"
again() { [ "$(show MainPID)" != "$before" ] && [ "$(show MainPID)" != 0 ] && [ "$(systemctl is-active wsbump)" = active ]; }
wait_for 'another process' again
said 'Watchdog timeout'
is 'the number of restarts' "$(show NRestarts)" 1
wsbump health --ready --config /etc/wsbump/wsbump.toml >/dev/null
echo 'hung: ended by the watchdog, and ready again'

# It ends well, and is not started again.
systemctl stop wsbump
is 'its end' "$(show Result) $(show ExecMainStatus)" 'success 0'
echo 'stopped: drained'

# What is wrong does not become right by trying again.
cp /etc/wsbump/wsbump.toml /opt/kept.toml
echo 'lisen = 1' >>/etc/wsbump/wsbump.toml
! systemctl start wsbump
said 'unknown key'
cp /opt/kept.toml /etc/wsbump/wsbump.toml
systemctl reset-failed wsbump
systemctl start wsbump
is 'the service' "$(systemctl is-active wsbump)" active
echo 'a wrong configuration: not started, and said why'
END
rm -f "$root/opt/look.log"
timeout 180 systemd-nspawn --quiet --directory "$root" --register=no --keep-unit --private-network --boot >"$root/opt/boot.log" 2>&1 ||
    { cat "$root/opt/look.log" 2>/dev/null >&2 || tail -n 30 "$root/opt/boot.log" >&2; fail 'not as it should be'; }
cat "$root/opt/look.log"
grep -q '^a wrong configuration' "$root/opt/look.log" || fail 'it did not come to its end'
rm -rf "$root"/etc/systemd/system/{wsbump.service.d,look.service,multi-user.target.wants/look.service} "$root"/opt/{look.sh,look.log,boot.log,journal,kept.toml}
