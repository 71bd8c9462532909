/* How far a long computation is, on stderr. */
#ifndef VERIFY_PROGRESS_H
#define VERIFY_PROGRESS_H

/* On a terminal one line that is rewritten, at most five times a second; elsewhere one line
 * when all is done. */
void progress(const char *unit, int done, int total);
/* Before anything else is printed. */
void progress_end(void);

#endif
