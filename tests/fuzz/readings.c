#include <config.h>

#include "readings.h"

#include "echod/options_reader.h"

#include "fuzz.h"

void reading_check_sentence(const struct error *error)
{
    const size_t length = strlen(error->text);

    fuzz_require(length > 0 && length < sizeof error->text);
    for (const char *at = error->text; *at != '\0'; at++)
        fuzz_require((unsigned char)*at >= ' ' && *at != 0x7f);
}

static void on_error(const struct error *error, void *argument)
{
    struct reading *reading = argument;

    reading_check_sentence(error);
    reading->count++;
    (void)fprintf(reading->stream, "%s\n", error->text);
}

/* Print what is in effect, if all was right. */
static void print(struct reading *reading)
{
    size_t length = 0;
    FILE *stream = open_memstream(&reading->printed, &length);

    fuzz_require(stream != NULL);
    if (reading->status == 0)
        options_print(&reading->options, stream);
    fuzz_require(fclose(stream) == 0);
}

void reading_take(struct reading *reading, int count, char *arguments[])
{
    size_t length = 0;

    *reading = (struct reading){.count = 0};
    reading->stream = open_memstream(&reading->errors, &length);
    fuzz_require(reading->stream != NULL);
    fuzz_require(unsetenv("ECHOD_ADMIN") == 0); /* it would count as a file */
    reading->status = options_read(&reading->options, count, arguments, on_error, reading);
    fuzz_require(fclose(reading->stream) == 0);
    fuzz_require((reading->status == 0) == (reading->count == 0));
    print(reading);
}

void reading_free(struct reading *reading)
{
    options_free(&reading->options);
    free(reading->errors);
    free(reading->printed);
}
