#include "junit.h"

#include <errno.h>
#include <string.h>

void xml_text(FILE *to, const char *text)
{
    for (; *text; text++) {
        const unsigned char c = (unsigned char)*text;
        if (c == '&')
            fputs("&amp;", to);
        else if (c == '<')
            fputs("&lt;", to);
        else if (c == '>')
            fputs("&gt;", to);
        else if (c == '"')
            fputs("&quot;", to);
        else
            fputc(c < 0x20 ? ' ' : c, to);
    }
}

static void attribute(FILE *to, const char *name, const char *value)
{
    fprintf(to, " %s=\"", name);
    xml_text(to, value);
    fputc('"', to);
}

bool junit_open(struct junit *j, const char *path, const char *suite, int tests, int failures,
                int skipped, struct error *e)
{
    snprintf(j->path, sizeof j->path, "%s", path);
    j->to = fopen(path, "w");
    if (!j->to)
        return fail(e, EXIT_USAGE, "%s: cannot be written: %s", path, strerror(errno));
    fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite", j->to);
    attribute(j->to, "name", suite);
    fprintf(j->to, " tests=\"%d\" failures=\"%d\" skipped=\"%d\">\n", tests, failures, skipped);
    return true;
}

void junit_case(struct junit *j, const char *class_name, const char *name, const char *failure,
                const char *skipped)
{
    fputs("  <testcase", j->to);
    attribute(j->to, "classname", class_name);
    attribute(j->to, "name", name);
    if (failure || skipped) {
        fprintf(j->to, "><%s", failure ? "failure" : "skipped");
        attribute(j->to, "message", failure ? failure : skipped);
        fputs("/></testcase>\n", j->to);
    } else {
        fputs("/>\n", j->to);
    }
}

bool junit_close(struct junit *j, struct error *e)
{
    fputs("</testsuite>\n", j->to);
    bool ok = !ferror(j->to);
    ok = !fclose(j->to) && ok;
    return ok || fail(e, EXIT_USAGE, "%s: cannot be written: %s", j->path, strerror(errno));
}
