#include "report.h"
bool report_html(const struct report *r, const char *path, struct error *e)
{ (void)r; (void)path; return fail(e, EXIT_NOT_BUILT, "no html"); }
