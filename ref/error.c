#include "error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool fail(struct error *e, enum exit_code code, const char *format, ...)
{
    if (!e || e->text[0])
        return false;
    va_list args;
    va_start(args, format);
    vsnprintf(e->text, sizeof e->text, format, args);
    va_end(args);
    e->code = code;
    return false;
}

void error_in(struct error *e, const char *where)
{
    char text[sizeof e->text];
    if (!e || !e->text[0] || strstr(e->text, where))
        return;
    snprintf(text, sizeof text, "%s: %.*s", where, (int)sizeof text / 2, e->text);
    memcpy(e->text, text, sizeof text);
}
