#include "table.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

void table_row(struct table *t, const char *format, ...)
{
    char text[1024], *rest = text, *cell;
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (t->rows == t->room) {
        int room = t->room ? 2 * t->room : 64;
        void *row = realloc(t->row, (size_t)room * sizeof *t->row);
        if (!row)
            return;
        t->row = row;
        t->room = room;
    }
    memset(t->row[t->rows], 0, sizeof *t->row);
    for (int i = 0; i < TABLE_COLUMNS && (cell = strsep(&rest, "|")); i++) {
        t->row[t->rows][i] = strdup(cell);
        t->columns = i >= t->columns ? i + 1 : t->columns;
    }
    t->rows++;
}

static bool is_number(const char *cell)
{
    return *cell == '-' || *cell == '+' || *cell == '.' || isdigit((unsigned char)*cell)
        || !strcmp(cell, "inf") || !strcmp(cell, "nan");
}

/* Width in characters: UTF-8 continuation bytes take none. */
static int width_of(const char *cell)
{
    int width = 0;
    for (; cell && *cell; cell++)
        width += ((unsigned char)*cell & 0xC0) != 0x80;
    return width;
}

static bool column_is_numeric(const struct table *t, int column)
{
    for (int r = 1; r < t->rows; r++)
        if (t->row[r][column] && *t->row[r][column])
            return is_number(t->row[r][column]);
    return false;
}

void table_print(const struct table *t, FILE *to)
{
    int width[TABLE_COLUMNS] = {0};
    bool numeric[TABLE_COLUMNS] = {0};
    for (int c = 0; c < t->columns; c++) {
        numeric[c] = column_is_numeric(t, c);
        for (int r = 0; r < t->rows; r++)
            if (width_of(t->row[r][c]) > width[c])
                width[c] = width_of(t->row[r][c]);
    }
    for (int r = 0; r < t->rows; r++) {
        for (int c = 0; c < t->columns; c++) {
            const char *cell = t->row[r][c] ? t->row[r][c] : "";
            int space = width[c] - width_of(cell);
            bool last = c == t->columns - 1;
            fprintf(to, "%*s%s%*s%s", numeric[c] ? space : 0, "", cell,
                    numeric[c] || last ? 0 : space, "", last ? "\n" : "  ");
        }
    }
}

void table_free(struct table *t)
{
    for (int r = 0; r < t->rows; r++)
        for (int c = 0; c < TABLE_COLUMNS; c++)
            free(t->row[r][c]);
    free(t->row);
    *t = (struct table){0};
}
