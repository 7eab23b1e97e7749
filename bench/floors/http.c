// The smallest HTTP/1.1 server that always says yes: one thread, kept connections, one answer for every head.
//
//     http SOCKET ANSWER      ANSWER is a file with the whole answer, as Scopecheck gives it
#include "serve.h"

static unsigned char *answer;
static size_t answer_count;

static long take(int descriptor, unsigned char *bytes, size_t count) {
    long used = 0;
    for (;;) {
        unsigned char *end = memmem(bytes + used, count - used, "\r\n\r\n", 4);
        if (!end) return used;
        if (send_all(descriptor, answer, answer_count)) return -1;
        used = end + 4 - bytes;
    }
}

int main(int argc, char **argv) {
    if (argc != 3) return 64;
    answer = load(argv[2], &answer_count);
    serve(argv[1], take);
}
