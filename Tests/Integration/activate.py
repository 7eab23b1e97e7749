#!/usr/bin/env python3
"""Starts a program the way systemd's socket activation does (sd_listen_fds(3)).

    activate.py NAME=FD[,NAME=FD…] -- PROGRAM ARGUMENT…

The inherited descriptors become 3, 4, … and LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES say so. They stay open in
whoever holds them too: the next program gets the same sockets with everything that waits in them.
"""

import fcntl
import os
import sys

pairs = [pair.split("=") for pair in sys.argv[1].split(",")]
assert sys.argv[2] == "--", __doc__
# Out of the way first, so that no target number is taken by one that is still to be moved.
moved = [fcntl.fcntl(int(descriptor), fcntl.F_DUPFD, 100) for _, descriptor in pairs]
for number, descriptor in enumerate(moved):
    os.dup2(descriptor, 3 + number, inheritable=True)
    os.close(descriptor)
os.closerange(3 + len(pairs), 256)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(pairs)),
                  LISTEN_FDNAMES=":".join(name for name, _ in pairs))
os.execvp(sys.argv[3], sys.argv[3:])
