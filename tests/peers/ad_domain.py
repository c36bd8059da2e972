#!/usr/bin/python3
"""A real Active Directory domain: Samba's domain controller in namespaces of its own.

`ad_domain.py DIR` provisions the domain CORP.EXAMPLE in DIR, runs its controller, and prints one line of JSON: `address`
(LDAP, LDAPS and Kerberos listen there on their usual ports), `realm`, `base`, `password`, the identifiers of its
`groups`, `keytab`, `krb5_conf`, `ca`. The line comes when LDAP and Kerberos answer. The controller ends when this
program does, or when its standard input closes.

It must run as root, with Debian's own Python, which has Samba's modules.

The name of the proxy in this domain is HTTP/proxy.corp.example, and HTTP/localhost for clients that cannot map names.
Everybody's password is PASSWORD.
"""

import argparse
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time

REALM = "CORP.EXAMPLE"
BASE = "DC=corp,DC=example"
PASSWORD = "Sesame-2026!"
# AES128 and AES256 with SHA1 (MS-KILE 2.2.7). Without it, exported keytabs and tickets are RC4.
AES = "24"
SPNS = ("HTTP/proxy.corp.example", "HTTP/localhost")
# Group, and the group that it is a member of: everybody in staff is in web-full by two steps.
GROUPS = {"web-full": None, "web-users": "web-full", "staff": "web-users", "kiosk": None}
# Account, its groups, and the name that it logs in with when that is not `account@corp.example`.
USERS = {
    "ada": (["staff"], None),
    "max": (["kiosk"], None),
    "weber": (["staff"], "m.weber@corp.example"),
    "jürgen": (["kiosk"], None),
    "locked": ([], None),
    "many": ([], None),
    "expired": ([], None),
    "renew": ([], None),
}
SETTINGS = """
    server services = ldap, kdc, cldap, rpc, wrepl, dns
    dns forwarder = 127.0.0.254
    log level = 1
    ldap server require strong auth = allow_sasl_over_tls
    bind interfaces only = yes
    interfaces = lo eth0
"""
KRB5 = """[libdefaults]
 default_realm = {realm}
 dns_lookup_kdc = false
 dns_lookup_realm = false
 dns_canonicalize_hostname = false
 rdns = false
 udp_preference_limit = 1
[realms]
 {realm} = {{
  kdc = {address}:88
 }}
[domain_realm]
 localhost = {realm}
 .corp.example = {realm}
"""


def run(*command, **options):
    """Runs a command; what it says is shown only if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    return done.stdout


def outside(options):
    """Makes the namespaces, the link into them, and waits there for the end."""
    # Should this program be killed, the kernel ends the rest.
    own = ["setpriv", "--pdeathsig", "KILL", "--"]
    own += ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    again = [sys.executable, os.path.abspath(__file__), "--inside", options.dir, "--groups", str(options.groups)]
    # Each domain has four addresses of 10.88.0.0/15, by its process id: tests run side by side.
    first = (10 << 24) + (88 << 16) + (os.getpid() % (1 << 15)) * 4
    host, domain = (".".join(str(b) for b in (first + n).to_bytes(4, "big")) for n in (1, 2))
    again += ["--address", domain]
    child = subprocess.Popen(own + again, stdin=subprocess.PIPE)
    inner = None
    while inner is None:
        if child.poll() is not None:
            sys.exit("the namespaces could not be made; this needs root")
        with open(f"/proc/{child.pid}/task/{child.pid}/children", encoding="ascii") as children:
            pids = children.read().split()
        # Its namespace must be made before a link can be moved there.
        if pids and os.readlink(f"/proc/{pids[0]}/ns/net") != os.readlink("/proc/self/ns/net"):
            inner = pids[0]
    link = f"ad{os.getpid()}"
    run("ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", inner)
    run("ip", "addr", "add", f"{host}/30", "dev", link)
    run("ip", "link", "set", link, "up")
    child.stdin.write(b"go\n")
    child.stdin.flush()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        # The harness closes standard input when it is done, or when it is gone.
        watched = select.poll()
        watched.register(os.pidfd_open(child.pid), select.POLLIN)
        watched.register(0, select.POLLHUP)
        watched.poll()
        if child.poll() is not None:
            sys.exit("the domain controller ended")
    finally:
        child.kill()
        child.wait()


def provision(options):
    """The domain's files, before its controller runs."""
    import logging

    # `dckeytab` adds `export_keytab` to `Net`.
    from samba import dckeytab, dsdb, param
    from samba.auth import system_session
    from samba.credentials import Credentials
    from samba.net import Net
    from samba.provision import provision as make
    from samba.samdb import SamDB

    assert dckeytab

    path = os.path.join(options.dir, "etc", "smb.conf")
    os.makedirs(os.path.dirname(path))
    lp = param.LoadParm()
    result = make(
        logging.getLogger("provision"),
        system_session(),
        smbconf=path,
        targetdir=options.dir,
        realm=REALM,
        domain="CORP",
        hostname="dc",
        hostip=options.address,
        adminpass=PASSWORD,
        serverrole="active directory domain controller",
        dns_backend="SAMBA_INTERNAL",
        dom_for_fun_level=dsdb.DS_DOMAIN_FUNCTION_2008_R2,
        lp=lp,
        use_ntvfs=False,
        skip_sysvolacl=True,
        batch_mode=True,
    )
    with open(path, encoding="utf-8") as settings:
        text = settings.read()
    with open(path, "w", encoding="utf-8") as settings:
        settings.write(text.replace("[global]", "[global]" + SETTINGS, 1))
    lp = param.LoadParm()
    lp.load(path)
    credentials = Credentials()
    credentials.guess(lp)
    db = SamDB(url=result.paths.samdb, session_info=system_session(), credentials=credentials, lp=lp)
    populate(db, options.groups)
    keytab = os.path.join(options.dir, "http.keytab")
    for name in SPNS:
        Net(credentials, lp).export_keytab(keytab=keytab, principal=f"{name}@{REALM}")
    Net(credentials, lp).export_keytab(keytab=os.path.join(options.dir, "ada.keytab"), principal=f"ada@{REALM}")
    return path, {name: sid_of(db, name) for name in GROUPS}


def sid_of(db, account):
    """The security identifier of a user or group."""
    from samba.dcerpc import security
    from samba.ndr import ndr_unpack

    found = db.search(BASE, expression=f"(sAMAccountName={account})", attrs=["objectSid"])
    return str(ndr_unpack(security.dom_sid, found[0]["objectSid"][0]))


def change(db, dn, **attributes):
    """Replaces attributes of an object."""
    import ldb

    message = ldb.Message(ldb.Dn(db, dn))
    for name, values in attributes.items():
        name = name.replace("_", "-")
        message[name] = ldb.MessageElement(values, ldb.FLAG_MOD_REPLACE, name)
    db.modify(message)


def populate(db, groups):
    """Users and groups, and the account of the proxy."""
    db.transaction_start()
    # An account is locked after five wrong passwords, as in many domains.
    change(db, BASE, lockoutThreshold="5", maxPwdAge="0", minPwdAge="0")
    for name, parent in GROUPS.items():
        db.newgroup(name)
        if parent:
            db.add_remove_group_members(parent, [name])
    for name, (memberships, principal) in USERS.items():
        db.newuser(name, PASSWORD, mailaddress=f"{name}@corp.example")
        for group in memberships:
            db.add_remove_group_members(group, [name])
        dn = f"CN={name},CN=Users,{BASE}"
        change(db, dn, msDS_SupportedEncryptionTypes=AES)
        if principal:
            change(db, dn, userPrincipalName=principal)
    for number in range(groups):
        db.newgroup(f"role-{number:04}")
        db.add_remove_group_members(f"role-{number:04}", ["many"])
    db.newuser("http-proxy", PASSWORD)
    dn = f"CN=http-proxy,CN=Users,{BASE}"
    change(db, dn, msDS_SupportedEncryptionTypes=AES, servicePrincipalName=list(SPNS))
    # Keys are made when a password is set, of the types that the account has then.
    db.setpassword("(samAccountName=http-proxy)", PASSWORD, force_change_at_next_login=False)
    for name in USERS:
        db.setpassword(f"(samAccountName={name})", PASSWORD, force_change_at_next_login=False)
    # An account that is switched off; to set a password switches one on.
    change(db, f"CN=locked,CN=Users,{BASE}", userAccountControl="514")
    # An account that ended in 1970, and a password that has to be changed.
    change(db, f"CN=expired,CN=Users,{BASE}", accountExpires="116444736000000000")
    change(db, f"CN=renew,CN=Users,{BASE}", pwdLastSet="0")
    db.transaction_commit()


def certificates(options):
    """A CA and the controller's certificate. Those that Samba would make say nothing of its address."""
    folder = os.path.join(options.dir, "private", "tls")
    os.makedirs(folder, exist_ok=True)
    new = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"]
    ca = ["-subj", "/CN=CA of the domain", "-addext", "keyUsage=critical,keyCertSign", "-keyout", "cakey.pem"]
    run(*new, *ca, "-out", "ca.pem", cwd=folder)
    names = f"subjectAltName=DNS:dc.corp.example,IP:{options.address}"
    own = ["-subj", "/CN=dc.corp.example", "-addext", names, "-addext", "basicConstraints=critical,CA:FALSE"]
    run(*new, *own, "-CA", "ca.pem", "-CAkey", "cakey.pem", "-keyout", "key.pem", "-out", "cert.pem", cwd=folder)
    # Samba takes no key that others may read.
    os.chmod(os.path.join(folder, "key.pem"), 0o600)


def inside(options):
    """The controller, in its own network: it may use the ports that it wants."""
    sys.stdin.readline()
    run("ip", "link", "set", "lo", "up")
    run("ip", "addr", "add", f"{options.address}/30", "dev", "eth0")
    run("ip", "link", "set", "eth0", "up")
    os.makedirs(options.dir, exist_ok=True)
    for name, text in (
        ("resolv.conf", f"nameserver {options.address}\n"),
        ("hosts", f"127.0.0.1 localhost\n{options.address} dc.corp.example dc\n"),
    ):
        path = os.path.join(options.dir, name)
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
        run("mount", "--bind", path, f"/etc/{name}")
    # Its sockets in /run are its own too.
    run("mount", "-t", "tmpfs", "none", "/run")
    # What Samba's libraries print is no fact for the harness.
    facts_out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    smb, groups = provision(options)
    certificates(options)
    with open(os.path.join(options.dir, "samba.log"), "wb") as log:
        samba = subprocess.Popen(
            ["samba", "-i", "-M", "single", "-s", smb], stdin=subprocess.PIPE, stdout=log, stderr=log
        )
    conf = os.path.join(options.dir, "krb5.conf")
    with open(conf, "w", encoding="ascii") as file:
        file.write(KRB5.format(realm=REALM, address=options.address))
    for port in (88, 389, 636):
        while True:
            if samba.poll() is not None:
                with open(os.path.join(options.dir, "samba.log"), encoding="utf-8", errors="replace") as log:
                    sys.exit(f"samba ended: {log.read()}")
            try:
                socket.create_connection((options.address, port), 1).close()
                break
            except OSError:
                time.sleep(0.05)
    facts = {
        "address": options.address,
        "realm": REALM,
        "base": BASE,
        "password": PASSWORD,
        "groups": groups,
        "keytab": os.path.join(options.dir, "http.keytab"),
        "own_keytab": os.path.join(options.dir, "ada.keytab"),
        "krb5_conf": conf,
        "ca": os.path.join(options.dir, "private", "tls", "ca.pem"),
    }
    print(json.dumps(facts), file=facts_out, flush=True)
    samba.wait()


def main():
    """Which of the two it is."""
    parser = argparse.ArgumentParser()
    parser.add_argument("dir")
    parser.add_argument("--groups", type=int, default=20, help="how many groups the user `many` is in")
    parser.add_argument("--inside", action="store_true")
    parser.add_argument("--address")
    options = parser.parse_args()
    options.dir = os.path.abspath(options.dir)
    if options.inside:
        inside(options)
    else:
        outside(options)


if __name__ == "__main__":
    main()
