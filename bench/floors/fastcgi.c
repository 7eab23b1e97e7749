// The smallest FastCGI responder that always says yes: one thread, one request a connection, as nginx asks. It walks
// over the records to the empty STDIN that ends a request and looks into none.
//
//     fastcgi SOCKET ANSWER   ANSWER is a file with all records of the answer to request 1
#include "serve.h"

static unsigned char *answer;
static size_t answer_count;

static long take(int descriptor, unsigned char *bytes, size_t count) {
    size_t at = 0;
    while (count - at >= 8) {
        size_t content = bytes[at + 4] << 8 | bytes[at + 5];
        size_t record = 8 + content + bytes[at + 6];
        if (count - at < record) return at;
        int is_end = bytes[at + 1] == 5 && content == 0;
        at += record;
        if (is_end) {
            send_all(descriptor, answer, answer_count);
            return -1;
        }
    }
    return at;
}

int main(int argc, char **argv) {
    if (argc != 3) return 64;
    answer = load(argv[2], &answer_count);
    serve(argv[1], take);
}
