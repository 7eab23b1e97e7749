#pragma once
// Linux calls that the Swift toolchain's Glibc module leaves out: headers it does not list, and
// declarations it hides because it is built without _GNU_SOURCE. The latter are repeated exactly.
// What that module does declare is taken from it, so that each declaration has one owner.
#pragma clang module import SwiftGlibc
#include <malloc.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>

extern int accept4(int fd, struct sockaddr *__restrict address, socklen_t *__restrict length, int flags);
extern int pipe2(int descriptors[2], int flags);
extern int pthread_setname_np(pthread_t thread, const char *name);
extern int sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set);
extern int posix_spawn_file_actions_addclosefrom_np(posix_spawn_file_actions_t *actions, int from);

// prctl(2) takes a variable number of arguments, which Swift cannot pass.
static inline int prctl_end_with_parent(void) { return prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0); }
