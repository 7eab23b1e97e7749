#pragma once
// The system as the health checker sees it. Embedded Swift has no Glibc module, so this one names the headers itself;
// only `scopecheck-health` imports it. The functions below stand for macros that Swift cannot import.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

// Hidden without _GNU_SOURCE. Unlike strerror it asks for no locale. NULL for an unknown number.
extern const char *strerrordesc_np(int number);

static inline int health_error(void) { return errno; }

// A stream socket that does not block. It never takes the place of a standard stream that is closed.
static inline int health_socket(int family) {
    int made = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (made < 0 || made > 2) return made;
    int moved = fcntl(made, F_DUPFD_CLOEXEC, 3);
    int error = errno;
    close(made);
    errno = error;
    return moved;
}

static inline long health_send(int descriptor, const void *bytes, size_t count) {
    return send(descriptor, bytes, count, MSG_NOSIGNAL);
}

static inline void health_ignore_broken_pipe(void) { signal(SIGPIPE, SIG_IGN); }
