#!/usr/bin/python3
"""Captures tokens of a real domain for the unit tests: `ad_domain.py DIR --groups 300 | ad_tickets.py OUT`.

Reads the domain's facts on standard input and writes `OUT`, one JSON object: the second `time` at which the tokens were
made, the `keytab`, and the `tokens` by name, in base64. tests/tickets/corp.json was made so.
"""

import base64
import json
import os
import subprocess
import sys
import tempfile
import time

SPNEGO = "1.3.6.1.5.5.2"
KERBEROS = "1.2.840.113554.1.2.2"


def initiator(mechanism, host, *flags):
    """A client's context for the proxy of this name."""
    import gssapi

    name = gssapi.Name(f"HTTP@{host}", gssapi.NameType.hostbased_service)
    return gssapi.SecurityContext(
        name=name,
        mech=gssapi.OID.from_int_seq(mechanism),
        usage="initiate",
        flags=[getattr(gssapi.RequirementFlag, flag) for flag in flags],
    )


def token(mechanism, host, *flags):
    """The first token for the proxy of this name."""
    return initiator(mechanism, host, *flags).step()


def main():
    """Logs each user in, and makes the tokens."""
    facts = json.loads(sys.stdin.readline())
    with tempfile.TemporaryDirectory() as cache:
        os.environ["KRB5_CONFIG"] = facts["krb5_conf"]
        os.environ["KRB5CCNAME"] = f"FILE:{cache}/tickets"
        now = int(time.time())
        tokens = {}
        for user in ("ada", "m.weber@corp.example", "jürgen", "many"):
            command = ["kinit", "-E", user]
            subprocess.run(command, input=facts["password"] + "\n", text=True, check=True, stdout=subprocess.DEVNULL)
            name = user.split("@", maxsplit=1)[0]
            tokens[name] = token(SPNEGO, "proxy.corp.example", "mutual_authentication")
            if user == "ada":
                tokens["raw"] = token(KERBEROS, "localhost", "mutual_authentication")
                tokens["one-sided"] = token(SPNEGO, "proxy.corp.example", "integrity")
    with open(facts["keytab"], "rb") as file:
        keytab = file.read()
    captured = {
        "time": now,
        "keytab": base64.b64encode(keytab).decode(),
        "tokens": {name: base64.b64encode(value).decode() for name, value in tokens.items()},
    }
    with open(sys.argv[1], "w", encoding="utf-8") as out:
        json.dump(captured, out, indent=1, ensure_ascii=False)
        out.write("\n")


if __name__ == "__main__":
    main()
