#include "error.h"

#include <stdarg.h>
#include <stdio.h>

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
