"""A reader of proxy auto-configuration: pacparser, the engine of old Firefoxes. It is Debian's, for Debian's own Python.

Reads the script's file, then lines of `URL HOST` from standard input; prints what the script says of each.
"""

import sys

import pacparser

pacparser.init()
with open(sys.argv[1], encoding="ascii") as script:
    pacparser.parse_pac_string(script.read())
for line in sys.stdin:
    url, host = line.split()
    print(pacparser.find_proxy(url, host))
pacparser.cleanup()
