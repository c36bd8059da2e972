#!/bin/sh
# Makes this machine trust the CA of the proxy at {{HOST}}: Linux (Debian, Ubuntu, Alpine, Fedora, RHEL, Arch, openSUSE) and
# macOS. Run it as root, with the CA's SHA-256 fingerprint from somebody you trust: what comes from here comes unencrypted.
#
#   sh wsbump-install.sh FINGERPRINT
#
# It changes nothing unless the certificate has that fingerprint, and says at the end whether it worked. The proxy is
# $http_proxy, or else what resolves as {{HOST}}.
set -eu
# Everybody here has to read the CA, whatever root's own files are like: under umask 077 only root would trust it.
umask 022

fail() { echo "wsbump-install: $*" >&2; exit 1; }
# Digits and letters alone, so that colons, spaces and case do not matter.
plain() { printf '%s' "$1" | tr -cd '0-9A-Fa-f' | tr 'a-f' 'A-F'; }

[ $# = 1 ] || fail 'what is the fingerprint? sh wsbump-install.sh FINGERPRINT'
wanted=$(plain "$1")
[ ${#wanted} = 64 ] || fail "a SHA-256 fingerprint has 64 hexadecimal digits, and this one ${#wanted}"
for tool in curl openssl; do
    command -v "$tool" >/dev/null 2>&1 || fail "this needs $tool"
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
curl -fsS -o "$work/got.pem" 'http://{{HOST}}/ca.pem' || fail 'the certificate cannot be fetched: is the proxy in http_proxy?'
# One certificate, written anew: nothing else that came along is installed.
openssl x509 -in "$work/got.pem" -out "$work/wsbump-ca.pem" 2>/dev/null || fail 'what came is no certificate'
found=$(openssl x509 -in "$work/wsbump-ca.pem" -noout -fingerprint -sha256)
found=$(plain "${found#*=}")
[ "$found" = "$wanted" ] || fail "the certificate that came has another fingerprint, $found: nothing was changed"

if [ "$(uname)" = Darwin ]; then
    security add-trusted-cert -d -r trustRoot -p ssl -p basic -k /Library/Keychains/System.keychain "$work/wsbump-ca.pem"
elif [ -d /etc/pki/ca-trust/source/anchors ] && command -v update-ca-trust >/dev/null 2>&1; then
    cp "$work/wsbump-ca.pem" /etc/pki/ca-trust/source/anchors/wsbump-ca.pem
    update-ca-trust
elif [ -d /etc/pki/trust/anchors ] && command -v update-ca-certificates >/dev/null 2>&1; then
    cp "$work/wsbump-ca.pem" /etc/pki/trust/anchors/wsbump-ca.pem
    update-ca-certificates
elif command -v update-ca-certificates >/dev/null 2>&1; then
    mkdir -p /usr/local/share/ca-certificates
    cp "$work/wsbump-ca.pem" /usr/local/share/ca-certificates/wsbump-ca.crt
    update-ca-certificates
elif command -v trust >/dev/null 2>&1; then
    trust anchor --store "$work/wsbump-ca.pem"
else
    fail 'this system is not known here: look at http://{{HOST}}/'
fi

# As any program does that asks the system.
https_proxy=${https_proxy:-${http_proxy:-}} curl -fsS -o /dev/null 'https://{{HOST}}/' ||
    fail 'it is installed, and curl does not trust it yet: does another curl or another store come first?'
echo 'wsbump-install: this machine trusts the CA. Firefox, Java, Node and Python may have roots of their own: http://{{HOST}}/'
