// Counts what the worker threads of a daemon allocate, map and lock. Preloaded with LD_PRELOAD.
//
// The counters live in a file named by ALLOCATION_COUNTS, one page, mapped shared, so that the test reads them
// while the daemon runs. Only threads whose name starts with ALLOCATION_THREAD ("worker" unless said) count: the
// request path is theirs alone.
// With ALLOCATION_PLANT=1 every send() on a worker allocates once: the test that must fail proves the count.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <stdarg.h>

struct counters {
    _Atomic uint64_t allocations;  // malloc, calloc, realloc, aligned forms
    _Atomic uint64_t frees;
    _Atomic uint64_t maps;         // mmap, munmap, mremap, brk growth does not pass through here
    _Atomic uint64_t locks;        // pthread mutexes and rwlocks, futexes through syscall()
    _Atomic uint64_t sends;        // answers, to prove that the thread was watched at all
    _Atomic uint64_t clocks;       // clock_gettime, which asks the kernel for nothing where there is a vDSO
};

static struct counters fallback;
static struct counters *counters = &fallback;
static int plant;
static const char *thread_name = "worker";

static __thread signed char watched __attribute__((tls_model("initial-exec")));  // 0 unknown, 1 yes, -1 no
static __thread int lookups __attribute__((tls_model("initial-exec")));

static int is_worker(void) {
    if (watched == 1) return 1;
    // A thread is named a moment after it starts; look again a few times before giving it up.
    if (watched == -1 && ++lookups % 64 != 0) return 0;
    char name[16] = {0};
    prctl(PR_GET_NAME, name, 0, 0, 0);
    watched = strncmp(name, thread_name, strlen(thread_name)) == 0 ? 1 : -1;
    return watched == 1;
}

#define COUNT(field) do { if (is_worker()) atomic_fetch_add_explicit(&counters->field, 1, memory_order_relaxed); } while (0)

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
extern void __libc_free(void *);

void *malloc(size_t size) { COUNT(allocations); return __libc_malloc(size); }
void *calloc(size_t count, size_t size) { COUNT(allocations); return __libc_calloc(count, size); }
void *realloc(void *old, size_t size) { COUNT(allocations); return __libc_realloc(old, size); }
void *memalign(size_t alignment, size_t size) { COUNT(allocations); return __libc_memalign(alignment, size); }
void *aligned_alloc(size_t alignment, size_t size) { COUNT(allocations); return __libc_memalign(alignment, size); }
int posix_memalign(void **out, size_t alignment, size_t size) {
    COUNT(allocations);
    *out = __libc_memalign(alignment, size);
    return *out ? 0 : 12;
}
void free(void *memory) { if (memory) COUNT(frees); __libc_free(memory); }

void *mmap(void *address, size_t length, int protection, int flags, int descriptor, off_t offset) {
    COUNT(maps);
    return (void *)syscall(SYS_mmap, address, length, protection, flags, descriptor, offset);
}
int munmap(void *address, size_t length) { COUNT(maps); return (int)syscall(SYS_munmap, address, length); }

#define NEXT(name) static __typeof__(name) *next; if (!next) next = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

int pthread_mutex_lock(pthread_mutex_t *mutex) { NEXT(pthread_mutex_lock); COUNT(locks); return next(mutex); }
int pthread_rwlock_rdlock(pthread_rwlock_t *lock) { NEXT(pthread_rwlock_rdlock); COUNT(locks); return next(lock); }
int pthread_rwlock_wrlock(pthread_rwlock_t *lock) { NEXT(pthread_rwlock_wrlock); COUNT(locks); return next(lock); }

int clock_gettime(clockid_t clock, struct timespec *now) { NEXT(clock_gettime); COUNT(clocks); return next(clock, now); }

static void note_send(void) {
    COUNT(sends);
    if (plant && is_worker()) {
        void *volatile planted = malloc(17);
        free(planted);
    }
}
ssize_t send(int descriptor, const void *bytes, size_t count, int flags) {
    note_send();
    return syscall(SYS_sendto, descriptor, bytes, count, flags, NULL, 0);
}

__attribute__((constructor)) static void start(void) {
    const char *path = getenv("ALLOCATION_COUNTS");
    const char *thread = getenv("ALLOCATION_THREAD");
    plant = getenv("ALLOCATION_PLANT") != NULL;
    if (thread) thread_name = thread;
    if (!path) return;
    int file = open(path, O_RDWR | O_CLOEXEC);
    if (file < 0) return;
    void *page = (void *)syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (page != MAP_FAILED) counters = page;
}
