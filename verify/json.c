#include "json.h"

#include <math.h>

static void put_string(struct json *j, const char *s)
{
    fputc('"', j->to);
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\')
            fprintf(j->to, "\\%c", c);
        else if (c < 0x20)
            fprintf(j->to, "\\u%04x", c);
        else
            fputc(c, j->to);
    }
    fputc('"', j->to);
}

static void begin(struct json *j, const char *key)
{
    if (j->depth && j->line)
        fputs(j->first ? "" : ", ", j->to);
    else if (j->depth)
        fprintf(j->to, "%s\n%*s", j->first ? "" : ",", 2 * j->depth, "");
    j->first = false;
    if (key) {
        put_string(j, key);
        fputs(": ", j->to);
    }
}

void json_open(struct json *j, const char *key, char bracket)
{
    begin(j, key);
    fputc(bracket, j->to);
    j->depth++;
    j->first = true;
}

void json_close(struct json *j, char bracket)
{
    j->depth--;
    if (!j->first && !j->line)
        fprintf(j->to, "\n%*s", 2 * j->depth, "");
    fputc(bracket, j->to);
    j->first = false;
    if (!j->depth)
        fputc('\n', j->to);
}

void json_string(struct json *j, const char *key, const char *value)
{
    begin(j, key);
    put_string(j, value);
}

void json_number(struct json *j, const char *key, double value)
{
    begin(j, key);
    if (isfinite(value))
        fprintf(j->to, "%.9g", value);
    else
        fputs("null", j->to);
}

void json_int(struct json *j, const char *key, int64_t value)
{
    begin(j, key);
    fprintf(j->to, "%lld", (long long)value);
}

void json_bool(struct json *j, const char *key, bool value)
{
    begin(j, key);
    fputs(value ? "true" : "false", j->to);
}
