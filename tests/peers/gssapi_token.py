#!/usr/bin/python3
"""Prints a first token for the service HTTP/HOST in base64, by the ticket cache of the environment: `gssapi_token.py HOST`.

It runs with Debian's own Python, which has the module that goes with the system's Kerberos library.
"""

import base64
import sys

from ad_tickets import SPNEGO, token

print(base64.b64encode(token(SPNEGO, sys.argv[1], "mutual_authentication")).decode())
