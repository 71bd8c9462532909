#include "plots.h"

#include "verify/gnuplot.h"

#include <math.h>
#include <string.h>

/* NaN and Inf are drawn at the upper edge. */
#define EDGE 1e2

static double drawn(double error)
{
    return isfinite(error) ? fmin(fmax(error, 1e-9), EDGE) : EDGE;
}

/* "levels.2.blocks.3.dcn.core" is in part "levels.2". */
static size_t part_length(const char *name)
{
    const char *dot = strchr(name, '.');
    if (dot && !strncmp(name, "levels.", 7))
        dot = strchr(dot + 1, '.');
    return dot ? (size_t)(dot - name) : strlen(name);
}

/* A tic where a level begins. */
static void put_tics(FILE *to, const struct comparison *c)
{
    bool first = true;
    int last = 0;
    fputs("set xtics out nomirror noenhanced (", to);
    for (int i = 1; i < c->count; i++) {
        const char *name = c->item[i].node->name, *before = c->item[i - 1].node->name;
        const size_t length = part_length(name);
        if (c->item[i].node->op == OP_to_nhwc)
            continue;
        if (length == part_length(before) && !strncmp(name, before, length))
            continue;
        if (!first && i - last < c->count / 16)
            continue;
        fprintf(to, "%s\"%.*s\" %d", first ? "" : ", ", (int)length, name, i);
        first = false;
        last = i;
    }
    fputs(")\n", to);
}

char *plot_layers(const struct report *r, struct error *e)
{
    struct gnuplot g;
    const struct comparison *c = r->result;
    if (!gnuplot_begin(&g, 1000, 420, e))
        return NULL;
    fputs("$d << EOD\n", g.script);
    for (int i = 0; i < c->count; i++) {
        const struct compared *x = &c->item[i];
        if (x->layer.state == PORT_FITS)
            fprintf(g.script, "%d %g %g %g\n", i, drawn(x->single.m.rel_rms),
                    drawn(x->entire.m.rel_rms), x->single.limit);
    }
    fputs("EOD\n", g.script);
    put_tics(g.script, c);
    fprintf(g.script,
            "set logscale y\nset format y '10^{%%T}'\nset yrange [*:%g]\nset xrange [-1:%d]\n"
            "set ylabel 'error / rms of the layer'\nset border 3\nset ytics nomirror\n"
            "set grid ytics lc rgb '#cccccc'\nset key outside top center horizontal\n",
            2 * EDGE, c->count);
    if (c->first >= 0)
        fprintf(g.script, "set arrow from %d, graph 0 to %d, graph 1 nohead dt 2 lw 1.5 "
                "lc rgb 'black' back\nset label 'first divergent: %s' at %d, graph 0.95 %s "
                "offset %s,0 noenhanced\n", c->first, c->first, c->item[c->first].node->name,
                c->first,
                c->first > c->count / 2 ? "right" : "left", c->first > c->count / 2 ? "-1" : "1");
    fputs("plot $d u 1:4 w steps lc rgb '#888888' lw 1 t 'limit of single', "
          "$d u 1:3 w lp pt 6 ps 0.4 lc rgb '#666666' t 'entire (as run)', "
          "$d u 1:2 w p pt 7 ps 0.5 lc rgb 'black' t 'single (own error)'\n", g.script);
    return gnuplot_end(&g, e);
}

char *plot_bins(const struct report *r, struct error *e)
{
    struct gnuplot g;
    const struct error_picture *p = &r->result->picture;
    int first = PICTURE_BINS, last = 0;
    if (!gnuplot_begin(&g, 500, 380, e))
        return NULL;
    fputs("$d << EOD\n", g.script);
    for (int i = 0; i < PICTURE_BINS; i++) {
        fprintf(g.script, "%g %lld\n", (PICTURE_BINS_FIRST + i + 0.5) / 5, (long long)p->bin[i]);
        first = p->bin[i] && i < first ? i : first;
        last = p->bin[i] ? i : last;
    }
    const double limit = log10(p->limit > 0 ? p->limit : 1);
    const double low = fmin((PICTURE_BINS_FIRST + first) / 5.0, limit) - 0.2;
    const double high = fmax((PICTURE_BINS_FIRST + last + 1) / 5.0, limit) + 0.2;
    fprintf(g.script,
            "EOD\nset border 3\nset ytics nomirror\nset xtics 1 nomirror out\n"
            "set format x '10^{%%g}'\nset format y '%%.0s%%c'\nset xrange [%g:%g]\n"
            "set yrange [0:*]\n"
            "set xlabel '|error| / rms of the layer'\nset ylabel 'values'\nunset key\n"
            "set style fill solid 0.5 border rgb 'black'\nset boxwidth 0.2\n"
            "set arrow from %g, graph 0 to %g, graph 1 nohead dt 2 lw 1.5\n"
            "set label 'limit' at %g, graph 0.96 offset 0.5,0\n"
            "plot $d u 1:2 w boxes lc rgb 'black'\n", low, high, limit, limit, limit);
    return gnuplot_end(&g, e);
}

char *plot_map(const struct report *r, struct error *e)
{
    struct gnuplot g;
    const struct error_picture *p = &r->result->picture;
    double least = INFINITY, most = 0;
    for (int i = 0; i < p->height * p->width; i++) {
        most = fmax(most, p->map[i]);
        if (p->map[i] > 0)
            least = fmin(least, p->map[i]);
    }
    if (!(most > 0))
        least = 0.5, most = 1;
    least = fmax(fmin(least, most / 10), most * 1e-6);
    if (!gnuplot_begin(&g, 500, 380, e))
        return NULL;
    fputs("$d << EOD\n", g.script);
    for (int y = 0; y < p->height; y++) {
        for (int x = 0; x < p->width; x++)
            fprintf(g.script, "%g ", fmax(p->map[y * p->width + x], least));
        fputc('\n', g.script);
    }
    fprintf(g.script,
            "EOD\nset logscale cb\nset cbrange [%g:%g]\nset format cb '%%.0e'\n"
            "set palette defined (0 'white', 1 'black')\nset size ratio -1\n"
            "set xrange [-0.5:%g]\nset yrange [%g:-0.5]\nset xtics out nomirror\n"
            "set ytics out nomirror\nset cblabel 'rms of the error over the channels'\nunset key\n"
            "set title 'border %.1e, interior %.1e' font ',12'\n"
            "plot $d matrix w image pixels\n", least, most, p->width - 0.5, p->height - 0.5,
            p->border, p->interior);
    return gnuplot_end(&g, e);
}
