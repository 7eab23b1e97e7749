// A load generator for HTTP/1.1 that does not coordinate its omissions: under a fixed rate every request has a time at
// which it is due, and its latency counts from then, whether or not a connection was free.
//
//     load ADDRESS:PORT --requests FILE [--connections N] [--seconds S] [--rate R] [--seed N] [--zipf]
//
// FILE holds requests, each as a line `STATUS LENGTH` and LENGTH bytes; STATUS is what the answer must be. They are
// taken in turn, or by Zipf's law. Without --rate each connection asks again as soon as it is answered. Prints one JSON
// object; latencies are in microseconds, and hold what was never answered (`unanswered`, a second after the end) and what was
// due when no connection was free (`unasked`).
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

struct request { int status; size_t count; char *bytes; };

struct connection {
    int descriptor;
    int is_busy;
    const struct request *request;
    int64_t due;
    size_t count, body_left;
    int has_head, status;
    char head[16384];
};

// 64 buckets for each power of two: at most 1.6 % off.
enum { buckets_per_power = 64, powers = 40 };
static uint64_t histogram[powers * buckets_per_power];
static uint64_t answers, counted, wrong, errors, statuses[600];
static struct request *requests;
static size_t requests_count;
static double *cumulative;
static struct sockaddr_in target;
static int poller, timer;
static struct connection *connections, **idle;
static int connections_count = 32, idle_count;
static uint64_t random_state = 88172645463325252u;

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000ll + time.tv_nsec;
}

static uint64_t next_random(void) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static size_t bucket(uint64_t value) {
    if (value < buckets_per_power) return value;
    int power = 63 - __builtin_clzll(value);
    size_t index = (size_t)(power - 5) * buckets_per_power + ((value >> (power - 6)) & (buckets_per_power - 1));
    size_t last = sizeof histogram / sizeof *histogram - 1;
    return index > last ? last : index;
}

static double bucket_value(size_t index) {
    if (index < buckets_per_power) return index;
    int power = index / buckets_per_power + 5;
    return ldexp(1.0 + (index % buckets_per_power + 0.5) / buckets_per_power, power);
}

static double percentile(double part) {
    uint64_t wanted = ceil(part * counted), seen = 0;
    for (size_t index = 0; index < sizeof histogram / sizeof *histogram; index++) {
        seen += histogram[index];
        if (seen >= wanted && seen > 0) return bucket_value(index) / 1000;
    }
    return 0;
}

static void note(int64_t nanoseconds) {
    histogram[bucket(nanoseconds > 0 ? nanoseconds : 0)]++;
    counted++;
}

static void read_requests(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) { perror(path); exit(2); }
    int status;
    size_t count;
    while (fscanf(file, "%d %zu", &status, &count) == 2) {
        fgetc(file);
        requests = realloc(requests, (requests_count + 1) * sizeof *requests);
        struct request *request = &requests[requests_count++];
        *request = (struct request){status, count, malloc(count + 1)};
        if (fread(request->bytes, 1, count, file) != count) { fprintf(stderr, "%s is cut short\n", path); exit(2); }
    }
    fclose(file);
    if (!requests_count) { fprintf(stderr, "%s holds no requests\n", path); exit(2); }
}

static const struct request *choose(void) {
    static size_t turn;
    if (!cumulative) return &requests[turn++ % requests_count];
    double wanted = next_random() / 18446744073709551616.0 * cumulative[requests_count - 1];
    size_t low = 0, high = requests_count - 1;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (cumulative[middle] < wanted) low = middle + 1; else high = middle;
    }
    return &requests[low];
}

static void open_connection(struct connection *connection) {
    connection->descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int one = 1;
    setsockopt(connection->descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(connection->descriptor, (struct sockaddr *)&target, sizeof target)) { perror("connect"); exit(2); }
    fcntl(connection->descriptor, F_SETFL, O_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    epoll_ctl(poller, EPOLL_CTL_ADD, connection->descriptor, &event);
    connection->is_busy = 0;
}

static void reopen(struct connection *connection) {
    errors++;
    close(connection->descriptor);
    open_connection(connection);
}

// Whether it could be asked; otherwise the connection is a new one, and idle.
static int ask(struct connection *connection, int64_t due) {
    connection->request = choose();
    connection->due = due;
    connection->is_busy = 1;
    connection->count = 0;
    connection->has_head = 0;
    const struct request *request = connection->request;
    ssize_t sent = send(connection->descriptor, request->bytes, request->count, MSG_NOSIGNAL);
    if (sent == (ssize_t)request->count) return 1;
    reopen(connection);
    idle[idle_count++] = connection;
    return 0;
}

// Whether the answer is complete.
static int take(struct connection *connection, ssize_t received) {
    if (connection->has_head) {
        if ((size_t)received > connection->body_left) return -1;
        connection->body_left -= received;
        return connection->body_left == 0;
    }
    connection->count += received;
    char *end = memmem(connection->head, connection->count, "\r\n\r\n", 4);
    if (!end) return connection->count == sizeof connection->head ? -1 : 0;
    *end = 0;
    if (sscanf(connection->head, "HTTP/1.%*c %d", &connection->status) != 1) return -1;
    char *length = strcasestr(connection->head, "\r\ncontent-length:");
    if (!length) return -1;
    size_t body = strtoul(length + 17, NULL, 10), there = connection->count - (end + 4 - connection->head);
    if (there > body) return -1;
    connection->has_head = 1;
    connection->body_left = body - there;
    return connection->body_left == 0;
}

static void receive(struct connection *connection, int64_t time) {
    char body[65536];
    ssize_t received = connection->has_head
                           ? recv(connection->descriptor, body, sizeof body, 0)
                           : recv(connection->descriptor, connection->head + connection->count,
                                  sizeof connection->head - connection->count, 0);
    if (received < 0 && errno == EAGAIN) return;
    int was_busy = connection->is_busy;
    int done = received > 0 && was_busy ? take(connection, received) : -1;
    if (done == 0) return;
    if (done < 0) {
        reopen(connection);
        if (was_busy) idle[idle_count++] = connection;
        return;
    }
    connection->is_busy = 0;
    idle[idle_count++] = connection;
    answers++;
    if (connection->status != connection->request->status) wrong++;
    if (connection->status > 0 && connection->status < 600) statuses[connection->status]++;
    note(time - connection->due);
}

// Takes what has come within so many milliseconds; returns the time.
static int64_t wait_for_answers(int milliseconds) {
    struct epoll_event events[256];
    int ready = epoll_wait(poller, events, 256, milliseconds);
    int64_t time = now();
    for (int index = 0; index < ready; index++) {
        uint64_t ticks;
        if (events[index].data.ptr) receive(events[index].data.ptr, time);
        else if (read(timer, &ticks, sizeof ticks) < 0 && errno != EAGAIN) exit(2);
    }
    return time;
}

// Asks until `stop`. Returns when the next request would have been due.
static int64_t ask_until(int64_t stop, int64_t interval) {
    int64_t time = now(), due = time;
    while (time < stop) {
        while (idle_count > 0 && (!interval || due <= time)) {
            int is_asked = ask(idle[--idle_count], interval ? due : now());
            due += interval;
            if (!is_asked) break;
        }
        if (interval && idle_count > 0) {
            struct itimerspec wait = {.it_value = {due / 1000000000, due % 1000000000}};
            timerfd_settime(timer, TFD_TIMER_ABSTIME, &wait, NULL);
        }
        time = wait_for_answers(100);
    }
    return due;
}

static void weigh(void) {
    double sum = 0;
    cumulative = malloc(requests_count * sizeof *cumulative);
    for (size_t index = 0; index < requests_count; index++) cumulative[index] = sum += 1.0 / (index + 1);
}

// Waits a second for what is still under way, counts what was not answered, and prints all.
static void report(int64_t start, int64_t stop, int64_t end, int64_t due, int64_t interval) {
    uint64_t in_time = answers;
    for (int64_t time = end; idle_count < connections_count && time < end + 1000000000;) time = wait_for_answers(20);
    // Neither what never came nor what was due and could not be asked is fast: each is as old as it has become.
    uint64_t unanswered = 0, unasked = 0;
    for (int index = 0; index < connections_count; index++) {
        if (!connections[index].is_busy) continue;
        unanswered++;
        note(now() - connections[index].due);
    }
    for (; interval && due < stop; due += interval) {
        unasked++;
        note(now() - due);
    }
    double elapsed = (end - start) / 1e9;
    printf("{\"answers\":%lu,\"wrong\":%lu,\"errors\":%lu,\"unanswered\":%lu,\"unasked\":%lu,\"seconds\":%.3f,"
           "\"per_second\":%.1f,\"p50_us\":%.1f,\"p99_us\":%.1f,\"p999_us\":%.1f,\"statuses\":{",
           answers, wrong, errors, unanswered, unasked, elapsed, in_time / elapsed, percentile(0.5), percentile(0.99),
           percentile(0.999));
    const char *comma = "";
    for (int status = 0; status < 600; status++) {
        if (!statuses[status]) continue;
        printf("%s\"%d\":%lu", comma, status, statuses[status]);
        comma = ",";
    }
    printf("}}\n");
}

static int usage(void) {
    fprintf(stderr, "load ADDRESS:PORT --requests FILE [--connections N] [--seconds S] [--rate R] [--seed N] [--zipf]\n");
    return 64;
}

int main(int argc, char **argv) {
    int zipf = 0, port;
    double seconds = 5, rate = 0;
    const char *path = NULL;
    char host[64];
    if (argc < 2 || sscanf(argv[1], "%63[^:]:%d", host, &port) != 2) return usage();
    for (int index = 2; index < argc; index++) {
        if (!strcmp(argv[index], "--zipf")) { zipf = 1; continue; }
        if (index + 1 >= argc) return usage();
        if (!strcmp(argv[index], "--requests")) path = argv[++index];
        else if (!strcmp(argv[index], "--connections")) connections_count = atoi(argv[++index]);
        else if (!strcmp(argv[index], "--seconds")) seconds = atof(argv[++index]);
        else if (!strcmp(argv[index], "--rate")) rate = atof(argv[++index]);
        else if (!strcmp(argv[index], "--seed")) random_state ^= strtoull(argv[++index], NULL, 10) << 17;
        else return usage();
    }
    target = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port)};
    if (!path || connections_count < 1 || !inet_aton(host, &target.sin_addr)) return usage();
    signal(SIGPIPE, SIG_IGN);
    read_requests(path);
    if (zipf) weigh();
    poller = epoll_create1(EPOLL_CLOEXEC);
    timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(poller, EPOLL_CTL_ADD, timer, &event);
    connections = calloc(connections_count, sizeof *connections);
    idle = malloc(connections_count * sizeof *idle);
    for (int index = 0; index < connections_count; index++) {
        open_connection(&connections[index]);
        idle[idle_count++] = &connections[index];
    }
    int64_t start = now(), interval = rate > 0 ? (int64_t)(1e9 / rate) : 0;
    int64_t stop = start + (int64_t)(seconds * 1e9), due = ask_until(stop, interval);
    report(start, stop, now(), due, interval);
    return 0;
}
