#include "numbers.h"

#include <math.h>
#include <stdlib.h>

bool number_from(const char *text, const char *option, double least, double most, double *out,
                 struct error *e)
{
    char *end;
    if (!text)
        return true;
    *out = strtod(text, &end);
    return (*text && !*end && *out >= least && *out <= most)
        || fail(e, EXIT_USAGE, "%s '%s': expected a number from %g to %g", option, text, least, most);
}

bool integer_from(const char *text, const char *option, double least, double most, int *out,
                  struct error *e)
{
    double value = *out;
    if (!number_from(text, option, least, most, &value, e))
        return false;
    *out = (int)value;
    return value == floor(value) || fail(e, EXIT_USAGE, "%s '%s': expected an integer", option, text);
}
