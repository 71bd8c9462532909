/* Aligned text tables. A cell that starts with a digit, sign or '-' is set to
 * the right, others to the left. */
#ifndef VERIFY_TABLE_H
#define VERIFY_TABLE_H

#include <stdio.h>

enum { TABLE_COLUMNS = 16 };

struct table {
    char *(*row)[TABLE_COLUMNS];
    int rows, room, columns;
};

/* The first row is the header. Cells beyond the row's last "|" stay empty.
 * table_row(t, "a|b|%d", 3) adds one row of three cells. */
void table_row(struct table *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void table_print(const struct table *t, FILE *to);
void table_free(struct table *t);

#endif
