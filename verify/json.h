/* Writing JSON: the values, with commas and escapes where they belong. */
#ifndef VERIFY_JSON_H
#define VERIFY_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct json {
    FILE *to;
    int depth;
    bool first;                 /* nothing written yet at this depth */
    bool line;                  /* everything in one line */
};

/* `key` is NULL inside an array. Numbers that are NaN or infinite become null. */
void json_open(struct json *j, const char *key, char bracket);      /* '{' or '[' */
void json_close(struct json *j, char bracket);                      /* '}' or ']' */
void json_string(struct json *j, const char *key, const char *value);
void json_number(struct json *j, const char *key, double value);
void json_int(struct json *j, const char *key, int64_t value);
void json_bool(struct json *j, const char *key, bool value);

#endif
