// What the three floors share: a unix socket, one epoll, a buffer for each connection.
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { buffer_bytes = 65536, connections_max = 4096 };

struct connection {
    int descriptor;
    size_t count;
    unsigned char bytes[buffer_bytes];
};

static struct connection *connections[connections_max];
static int poller;

// The bytes of a file, kept for good.
static unsigned char *load(const char *path, size_t *count) {
    FILE *file = fopen(path, "rb");
    if (!file) { perror(path); exit(2); }
    unsigned char *bytes = malloc(buffer_bytes);
    *count = fread(bytes, 1, buffer_bytes, file);
    fclose(file);
    return bytes;
}

static int listen_on(const char *path) {
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strncpy(address.sun_path, path, sizeof address.sun_path - 1);
    unlink(path);
    if (bind(descriptor, (struct sockaddr *)&address, sizeof address) || listen(descriptor, 4096)) {
        perror(path);
        exit(2);
    }
    return descriptor;
}

static void watch(int descriptor) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = descriptor};
    epoll_ctl(poller, EPOLL_CTL_ADD, descriptor, &event);
}

static void end(int descriptor) {
    close(descriptor);
    if (connections[descriptor]) connections[descriptor]->count = 0;
}

// All of it at once: answers are small and their readers wait for them.
static int send_all(int descriptor, const unsigned char *bytes, size_t count) {
    ssize_t sent = send(descriptor, bytes, count, MSG_NOSIGNAL);
    return sent == (ssize_t)count ? 0 : -1;
}

// Calls `take` with what a connection has received. It returns how many bytes it has used, or -1 to close.
static void serve(const char *path, long (*take)(int, unsigned char *, size_t)) {
    signal(SIGPIPE, SIG_IGN);
    poller = epoll_create1(EPOLL_CLOEXEC);
    int listener = listen_on(path);
    watch(listener);
    struct epoll_event events[64];
    for (;;) {
        int ready = epoll_wait(poller, events, 64, -1);
        for (int index = 0; index < ready; index++) {
            int descriptor = events[index].data.fd;
            if (descriptor == listener) {
                int accepted = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
                if (accepted < 0) continue;
                if (accepted >= connections_max) { close(accepted); continue; }
                if (!connections[accepted]) connections[accepted] = calloc(1, sizeof(struct connection));
                connections[accepted]->count = 0;
                watch(accepted);
                continue;
            }
            struct connection *connection = connections[descriptor];
            ssize_t received = recv(
                descriptor, connection->bytes + connection->count, buffer_bytes - connection->count, 0);
            if (received < 0 && errno == EAGAIN) continue;
            if (received <= 0) { end(descriptor); continue; }
            connection->count += received;
            long used = take(descriptor, connection->bytes, connection->count);
            if (used < 0) { end(descriptor); continue; }
            connection->count -= used;
            if (used > 0 && connection->count > 0) {
                memmove(connection->bytes, connection->bytes + used, connection->count);
            }
        }
    }
}
