/* The least that reading a policy can cost: libyaml alone, every event of every file, nothing made of them.
 *
 *     yaml FILE…
 *
 * Prints how many scalars there were. Files are read whole, as Scopecheck reads them. */
#include <stdio.h>
#include <stdlib.h>
#include <yaml.h>

static void fail(const char *what, const char *file) {
    fprintf(stderr, "floor: %s: %s\n", file, what);
    exit(1);
}

static unsigned char *readWhole(const char *path, size_t *count) {
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END) != 0) fail("cannot be read", path);
    long size = ftell(file);
    if (size < 0 || fseek(file, 0, SEEK_SET) != 0) fail("has no size", path);
    unsigned char *bytes = malloc((size_t)size + 1);
    if (!bytes || fread(bytes, 1, (size_t)size, file) != (size_t)size) fail("cannot be read whole", path);
    fclose(file);
    *count = (size_t)size;
    return bytes;
}

static unsigned long scalars(const char *path) {
    size_t count;
    unsigned char *bytes = readWhole(path, &count);
    unsigned long found = 0;
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser)) fail("no memory", path);
    yaml_parser_set_input_string(&parser, bytes, count);
    for (int isOver = 0; !isOver;) {
        yaml_event_t event;
        if (!yaml_parser_parse(&parser, &event)) fail("is no YAML", path);
        found += event.type == YAML_SCALAR_EVENT;
        isOver = event.type == YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    free(bytes);
    return found;
}

int main(int count, char **arguments) {
    unsigned long found = 0;
    for (int index = 1; index < count; index++) found += scalars(arguments[index]);
    printf("%lu\n", found);
    return 0;
}
