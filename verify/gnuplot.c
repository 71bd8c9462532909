#include "gnuplot.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

bool gnuplot_begin(struct gnuplot *g, int width, int height, struct error *e)
{
    g->script = tmpfile();
    if (!g->script)
        return fail(e, EXIT_USAGE, "no temporary file for gnuplot's script");
    fprintf(g->script, "set terminal svg size %d,%d dynamic background rgb 'white' "
            "font 'Helvetica,13'\nset encoding utf8\n", width, height);
    return true;
}

static char *read_all(FILE *f)
{
    size_t size = 0, room = 1 << 16, got;
    char *text = malloc(room);
    while (text && (got = fread(text + size, 1, room - 1 - size, f)) > 0) {
        size += got;
        if (size == room - 1) {
            char *more = realloc(text, room *= 2);
            if (!more)
                free(text);
            text = more;
        }
    }
    if (text)
        text[size] = 0;
    return text;
}

/* In the child: script in, picture out. */
static void become_gnuplot(int in, int out)
{
    dup2(in, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    execlp("gnuplot", "gnuplot", "-", (char *)NULL);
    _exit(127);
}

char *gnuplot_end(struct gnuplot *g, struct error *e)
{
    int ends[2], status = -1;
    char *picture = NULL;
    rewind(g->script);
    if (pipe(ends)) {
        fclose(g->script);
        fail(e, EXIT_USAGE, "no pipe to gnuplot");
        return NULL;
    }
    pid_t child = fork();
    if (child == 0)
        become_gnuplot(fileno(g->script), ends[1]);
    close(ends[1]);
    FILE *from = child > 0 ? fdopen(ends[0], "r") : NULL;
    if (from) {
        picture = read_all(from);
        fclose(from);
        waitpid(child, &status, 0);
    }
    fclose(g->script);
    if (picture && WIFEXITED(status) && WEXITSTATUS(status) == 0 && *picture)
        return picture;
    free(picture);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
        fail(e, EXIT_NOT_BUILT, "gnuplot is not installed; the plots need it");
    else
        fail(e, EXIT_USAGE, "gnuplot failed");
    return NULL;
}
