#include <config.h>

#include "echoctl/columns.h"

#include "base/line.h"

#include <inttypes.h>
#include <string.h>

enum { GAP = 2 };

/* Return how many characters there are, each of which is a byte and those that continue it. */
static size_t width_of(const char *text)
{
    size_t width = 0;

    for (; *text != '\0'; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

struct columns columns_begin(const struct column *columns)
{
    struct columns table = {.columns = columns};

    for (size_t i = 0; columns[i].title != NULL; i++)
        table.widths[i] = width_of(columns[i].title);
    return table;
}

void columns_add(struct columns_row *row, const char *text)
{
    struct line cell;

    cell.length = 0;
    line_append_escaped(&cell, ESCAPE_WORD, text[0] == '\0' ? "-" : text,
                        LINE_SIZE - (COLUMNS_CELL_SIZE - 1));
    (void)snprintf(row->cells[row->count++], COLUMNS_CELL_SIZE, "%s", line_text(&cell));
}

void columns_add_count(struct columns_row *row, uint64_t count)
{
    (void)snprintf(row->cells[row->count++], COLUMNS_CELL_SIZE, "%" PRIu64, count);
}

void columns_widen(struct columns *columns, const struct columns_row *row)
{
    for (size_t i = 0; i < row->count; i++) {
        const size_t width = width_of(row->cells[i]);

        if (width > columns->widths[i])
            columns->widths[i] = width;
    }
}

/* Print a cell between the spaces that its column has left; none at the end of the line. */
static void print_cell(const struct columns *columns, size_t i, const char *cell, FILE *stream)
{
    const size_t width = width_of(cell), wanted = columns->widths[i];
    const int spaces = wanted > width ? (int)(wanted - width) : 0;

    if (i > 0)
        (void)fprintf(stream, "%*s", GAP, "");
    if (columns->columns[i].is_number)
        (void)fprintf(stream, "%*s%s", spaces, "", cell);
    else if (columns->columns[i + 1].title != NULL)
        (void)fprintf(stream, "%s%*s", cell, spaces, "");
    else
        (void)fputs(cell, stream);
}

void columns_print_titles(const struct columns *columns, FILE *stream)
{
    for (size_t i = 0; columns->columns[i].title != NULL; i++)
        print_cell(columns, i, columns->columns[i].title, stream);
    (void)fputc('\n', stream);
}

void columns_print(const struct columns *columns, const struct columns_row *row, FILE *stream)
{
    for (size_t i = 0; i < row->count; i++)
        print_cell(columns, i, row->cells[i], stream);
    (void)fputc('\n', stream);
}
