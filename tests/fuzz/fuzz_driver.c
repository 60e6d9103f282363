/*
 * fuzz_driver: tries a fuzz target with each file of its corpus, and with changes of them.
 * Learns nothing from what the target does, as libFuzzer would: `make check` needs no clang.
 * Run by make check as fuzz_NAME, whose corpus is tests/fuzz/corpus/NAME.
 */
#include <config.h>

#include "fuzz.h"

#include <assert.h>
#include <dirent.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>

#ifndef FUZZ_RUN_COUNT
#define FUZZ_RUN_COUNT 20000 /* a target whose runs take longer has fewer, in fuzz.am */
#endif

enum {
    INPUT_SIZE = 4096,          /* the longest input */
    INPUT_COUNT = 256,          /* the most files of a corpus */
    CHANGE_COUNT = 6,           /* the most changes of one input */
    RUN_COUNT = FUZZ_RUN_COUNT, /* changed inputs; the same ones each time */
};

struct input {
    size_t length;
    unsigned char bytes[INPUT_SIZE];
};

/* Return a number below `end` (SplitMix64). */
static size_t random_number(uint64_t *seed, size_t end)
{
    uint64_t z = *seed += UINT64_C(0x9e3779b97f4a7c15);

    assert(end > 0);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (size_t)((z ^ (z >> 31)) % end);
}

/* Replace `removed` bytes at an offset by others; what has no room is left out. */
static void replace(struct input *input, size_t offset, size_t removed, const unsigned char *bytes,
                    size_t length)
{
    const size_t rest = input->length - offset - removed;

    if (offset + length + rest > INPUT_SIZE)
        return;
    memmove(input->bytes + offset + length, input->bytes + offset + removed, rest);
    memcpy(input->bytes + offset, bytes, length);
    input->length = offset + length + rest;
}

/* Put a piece of another input in the place of a piece of this one; either may be empty. */
static void splice(struct input *input, const struct input *other, uint64_t *seed)
{
    const size_t offset = random_number(seed, input->length + 1);
    const size_t removed = random_number(seed, input->length - offset + 1);
    const size_t from = random_number(seed, other->length + 1);
    const size_t length = random_number(seed, other->length - from + 1);

    replace(input, offset, removed, other->bytes + from, length);
}

/* Put a byte in, over or out. */
static void change_byte(struct input *input, uint64_t *seed)
{
    static const unsigned char telling[] = "\r\n\0\xff\x7f\x80 0:.";
    const size_t offset = random_number(seed, input->length + 1);
    const size_t removed = offset < input->length ? random_number(seed, 2) : 0;
    const unsigned char byte = random_number(seed, 2) == 0
                                   ? (unsigned char)random_number(seed, 256)
                                   : telling[random_number(seed, sizeof telling - 1)];

    replace(input, offset, removed, &byte, random_number(seed, 4) == 0 ? 0 : 1);
}

static void change(struct input *input, const struct input *other, uint64_t *seed)
{
    for (size_t count = random_number(seed, CHANGE_COUNT) + 1; count > 0; count--) {
        if (random_number(seed, 8) == 0)
            splice(input, other, seed);
        else
            change_byte(input, seed);
    }
}

/* Try an input in a block of its own, so that a read beyond its end is seen. */
static void try_input(const struct input *input)
{
    unsigned char *bytes = malloc(input->length + (input->length == 0));

    fuzz_require(bytes != NULL);
    memcpy(bytes, input->bytes, input->length);
    (void)LLVMFuzzerTestOneInput(bytes, input->length);
    free(bytes);
}

static void read_input(const char *directory, const char *name, struct input *input)
{
    char path[PATH_MAX];
    FILE *file;

    fuzz_require(snprintf(path, sizeof path, "%s/%s", directory, name) < (int)sizeof path);
    file = fopen(path, "rb");
    fuzz_require(file != NULL);
    input->length = fread(input->bytes, 1, sizeof input->bytes, file);
    fuzz_require(feof(file) || input->length == sizeof input->bytes);
    (void)fclose(file);
}

static int compare_names(const struct dirent **left, const struct dirent **right)
{
    return strcmp((*left)->d_name, (*right)->d_name); /* the same order everywhere */
}

static int is_shown(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static size_t read_corpus(const char *target, struct input inputs[INPUT_COUNT])
{
    const char *srcdir = getenv("srcdir");
    char directory[PATH_MAX];
    struct dirent **entries;
    int count;

    (void)snprintf(directory, sizeof directory, "%s/tests/fuzz/corpus/%s",
                   srcdir == NULL ? "." : srcdir, target);
    count = scandir(directory, &entries, is_shown, compare_names);
    fuzz_require(count > 0 && count <= INPUT_COUNT);
    for (int i = 0; i < count; i++) {
        read_input(directory, entries[i]->d_name, &inputs[i]);
        free(entries[i]);
    }
    free(entries);
    return (size_t)count;
}

/* Return NAME of a program fuzz_NAME, or NULL. */
static const char *target_of(const char *program)
{
    const char *slash = strrchr(program, '/');
    const char *name = slash == NULL ? program : slash + 1;

    return strncmp(name, "fuzz_", strlen("fuzz_")) == 0 ? name + strlen("fuzz_") : NULL;
}

int main(int argc, char *argv[])
{
    static struct input inputs[INPUT_COUNT], changed;
    const char *target = argc == 1 ? target_of(argv[0]) : NULL;
    uint64_t seed = 1;
    size_t count;

    fuzz_require(target != NULL);
    count = read_corpus(target, inputs);
    for (size_t i = 0; i < count; i++)
        try_input(&inputs[i]);
    for (int i = 0; i < RUN_COUNT; i++) {
        changed = inputs[random_number(&seed, count)];
        change(&changed, &inputs[random_number(&seed, count)], &seed);
        try_input(&changed);
    }
    (void)printf("%zu inputs and %d changes of them\n", count, RUN_COUNT);
    return 0;
}
