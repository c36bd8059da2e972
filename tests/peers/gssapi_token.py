#!/usr/bin/python3
"""A client's side of Kerberos: `gssapi_token.py HOST [verify]`.

Prints a first token for the service HTTP/HOST in base64, by the ticket cache of the environment. With `verify` it then
reads the service's answer, in base64 too, and ends well if that proves that it is the service.

It runs with Debian's own Python, which has the module that goes with the system's Kerberos library.
"""

import base64
import sys

from ad_tickets import SPNEGO, initiator

context = initiator(SPNEGO, sys.argv[1], "mutual_authentication")
print(base64.b64encode(context.step()).decode(), flush=True)
if sys.argv[2:] == ["verify"]:
    context.step(base64.b64decode(sys.stdin.readline()))
    sys.exit(0 if context.complete else 1)
