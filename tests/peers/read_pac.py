"""A reader of proxy auto-configuration: pacparser, the engine of old Firefoxes. It is Debian's, for Debian's own Python.

Reads the script's file, then one with a line of `URL HOST` for each that is asked for; prints what the script says of each.
"""

import sys

import pacparser

pacparser.init()
with open(sys.argv[1], encoding="ascii") as script:
    pacparser.parse_pac_string(script.read())
with open(sys.argv[2], encoding="ascii") as asked:
    for line in asked:
        url, host = line.split()
        print(pacparser.find_proxy(url, host))
pacparser.cleanup()
