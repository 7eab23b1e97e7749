// The smallest SPOP agent that always says yes: one thread, pipelining, every NOTIFY answered by one ACK with the same
// actions.
//
//     spop SOCKET ACTIONS     ACTIONS is a file with the actions of an ACK, as Scopecheck gives them
#include "serve.h"

static unsigned char *actions;
static size_t actions_count;

// A variable-length integer of the protocol (SPOE.txt, 3.1).
static size_t read_varint(const unsigned char *bytes, uint64_t *value) {
    size_t at = 0;
    uint64_t result = bytes[at++];
    if (result >= 240) {
        int shift = 4;
        do {
            result += (uint64_t)bytes[at] << shift;
            shift += 7;
        } while (bytes[at++] >= 128);
    }
    *value = result;
    return at;
}

static unsigned char *append_text(unsigned char *to, const char *text) {
    size_t count = strlen(text);
    *to++ = count;
    memcpy(to, text, count);
    return to + count;
}

static int hello(int descriptor) {
    unsigned char frame[256], *at = frame + 4;
    *at++ = 101;
    memcpy(at, "\0\0\0\1", 4);
    at += 4;
    *at++ = 0;
    *at++ = 0;
    at = append_text(at, "version");
    *at++ = 8;
    at = append_text(at, "2.0");
    at = append_text(at, "max-frame-size");
    *at++ = 3;
    // 16380
    *at++ = 0xFC;
    *at++ = 0xF0;
    *at++ = 0x06;
    at = append_text(at, "capabilities");
    *at++ = 8;
    at = append_text(at, "pipelining");
    uint32_t count = at - frame - 4;
    frame[0] = 0; frame[1] = 0; frame[2] = count >> 8; frame[3] = count;
    return send_all(descriptor, frame, count + 4);
}

static long take(int descriptor, unsigned char *bytes, size_t count) {
    static unsigned char output[buffer_bytes * 2];
    size_t at = 0, written = 0;
    while (count - at >= 4) {
        uint32_t length = (uint32_t)bytes[at] << 24 | bytes[at + 1] << 16 | bytes[at + 2] << 8 | bytes[at + 3];
        if (length > buffer_bytes - 4 || length < 7) return -1;
        if (count - at < 4 + length) break;
        unsigned char *frame = bytes + at + 4;
        at += 4 + length;
        switch (frame[0]) {
        case 1:
            if (hello(descriptor)) return -1;
            break;
        case 3: {
            uint64_t ignored;
            size_t numbers = read_varint(frame + 5, &ignored);
            numbers += read_varint(frame + 5 + numbers, &ignored);
            if (written + 64 + actions_count > sizeof output) {
                if (send_all(descriptor, output, written)) return -1;
                written = 0;
            }
            uint32_t total = 5 + numbers + actions_count;
            unsigned char *to = output + written;
            to[0] = 0; to[1] = total >> 16; to[2] = total >> 8; to[3] = total;
            to[4] = 103;
            memcpy(to + 5, "\0\0\0\1", 4);
            memcpy(to + 9, frame + 5, numbers);
            memcpy(to + 9 + numbers, actions, actions_count);
            written += 4 + total;
            break;
        }
        default: return -1;
        }
    }
    if (written && send_all(descriptor, output, written)) return -1;
    return at;
}

int main(int argc, char **argv) {
    if (argc != 3) return 64;
    actions = load(argv[2], &actions_count);
    serve(argv[1], take);
}
