// Says when a process commits to LMDB: preloaded (LD_PRELOAD), it writes one line for each write of a meta page to the
// file that COMMITS_FILE names: `PID MICROSECONDS`, the end of the write by the monotonic clock.
//
// A commit of LMDB is durable when the meta page is: everything else was synchronised before, and the meta page goes
// through a descriptor that was opened with O_DSYNC (lmdb.c, mdb_env_write_meta). There are two of them, at the start of
// the file, and only they are written by halves of a page.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { page_bytes = 4096 };
static int file = -1;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("COMMITS_FILE");
    if (path) file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

ssize_t pwrite(int descriptor, const void *bytes, size_t count, off_t offset) {
    static ssize_t (*next)(int, const void *, size_t, off_t);
    if (!next) next = (ssize_t (*)(int, const void *, size_t, off_t))dlsym(RTLD_NEXT, "pwrite");
    ssize_t written = next(descriptor, bytes, count, offset);
    if (file >= 0 && written == (ssize_t)count && offset < 2 * page_bytes && count < page_bytes) {
        struct timespec time;
        clock_gettime(CLOCK_MONOTONIC, &time);
        // One write of one line: what other processes append stays whole.
        dprintf(file, "%d %lld.%03ld\n", getpid(), time.tv_sec * 1000000ll + time.tv_nsec / 1000, time.tv_nsec % 1000);
    }
    return written;
}
