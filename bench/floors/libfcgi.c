// The smallest FastCGI server with the reference library that always says yes, as its own examples are written: threads
// that each accept, answer and end the connection.
//
//     libfcgi PATH ANSWER
//
// ANSWER is a file with the records of a whole answer; what stands in its STDOUT record is sent.
#include <fcgiapp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { threads = 4, answer_bytes_max = 65536 };
static char answer[answer_bytes_max];
static int count, listener;

static void *serve(void *unused) {
    FCGX_Request request;
    (void)unused;
    if (FCGX_InitRequest(&request, listener, 0)) exit(1);
    while (FCGX_Accept_r(&request) == 0) {
        FCGX_PutStr(answer, count, request.out);
        FCGX_Finish_r(&request);
    }
    return NULL;
}

int main(int arguments, char **values) {
    if (arguments != 3) return 64;
    FILE *file = fopen(values[2], "rb");
    unsigned char head[8];
    // The first record: version, type 6 (STDOUT), request id, length of the content in two bytes, padding.
    if (!file || fread(head, 1, 8, file) != 8 || head[1] != 6) return 2;
    count = head[4] << 8 | head[5];
    if (fread(answer, 1, count, file) != (size_t)count) return 2;
    if (FCGX_Init()) return 2;
    umask(0117);
    listener = FCGX_OpenSocket(values[1], 1024);
    if (listener < 0) return 2;
    for (int number = 1; number < threads; number++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, serve, NULL)) return 2;
    }
    serve(NULL);
    return 1;
}
