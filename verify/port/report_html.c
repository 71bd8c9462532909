/* The comparison as one HTML file that needs nothing else: plots by gnuplot, the table. */
#include "report.h"

#include "plots.h"
#include "ref/ref.h"
#include "verify/junit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char style[] =
    "body{font:15px/1.45 sans-serif;color:#000;background:#fff;margin:2em auto;max-width:62em}"
    "h1{font-size:1.4em}h2{font-size:1.1em;margin:1.6em 0 .4em}"
    "img{max-width:100%}.pair img{width:49%}"
    "table{border-collapse:collapse;font-size:.8em}"
    "td,th{padding:.15em .6em;border-bottom:1px solid #ccc;text-align:right;white-space:nowrap}"
    "td:first-child,th:first-child{text-align:left}"
    "tr.fail td{background:#eee;font-weight:bold}tr.first td{border:2px solid #000}"
    "p.verdict{border-left:6px solid #000;padding:.4em 1em;background:#f4f4f4}";

static void base64(FILE *to, const char *text)
{
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *s = (const unsigned char *)text;
    for (size_t left = strlen(text); left > 0; s += 3) {
        const unsigned second = left > 1 ? s[1] : 0, third = left > 2 ? s[2] : 0;
        const unsigned bits = (unsigned)s[0] << 16 | second << 8 | third;
        fputc(digit[bits >> 18], to);
        fputc(digit[bits >> 12 & 63], to);
        fputc(left > 1 ? digit[bits >> 6 & 63] : '=', to);
        fputc(left > 2 ? digit[bits & 63] : '=', to);
        left = left > 3 ? left - 3 : 0;
    }
}

/* An SVG in an <img> of its own, so that identifiers of two do not collide. */
static void put_picture(FILE *to, char *svg, const char *alt)
{
    if (!svg)
        return;
    fputs("<img alt=\"", to);
    xml_text(to, alt);
    fputs("\" src=\"data:image/svg+xml;base64,", to);
    base64(to, svg);
    fputs("\">\n", to);
    free(svg);
}

static void put_row(FILE *to, const struct report *r, const struct compared *x)
{
    char at[64];
    const struct layer_error *own = &x->single, *run = &x->entire;
    const char *class_name = x->node->id == r->result->first ? " class=\"fail first\""
                           : x->pass ? "" : " class=\"fail\"";
    fprintf(to, "<tr%s><td>%s<td>%s", class_name, x->node->name, ref64_op_row(x->node->op)->name);
    if (x->layer.state == PORT_WRONG_SHAPE) {
        fputs("<td colspan=9>wrong shape\n", to);
        return;
    }
    fprintf(to, "<td>%.1e<td>%.2f<td>%.1e<td>%.2f<td>%.1e<td>%s<td>%.3g<td>%.7f<td>%.3g<td>%lld\n",
            run->m.rel_rms, run->m.rel_rms / run->envelope, own->m.rel_rms,
            own->m.rel_rms / own->envelope, own->m.max_abs,
            index_text(&x->node->shape, own->m.max_at, at, sizeof at), own->m.max_ulp, own->cosine,
            100 * own->violating, (long long)own->nonfinite);
}

static void put_table(FILE *to, const struct report *r)
{
    const struct comparison *c = r->result;
    fputs("<h2>Layers</h2>\n<table><tr><th>layer<th>op<th>entire<th>/env<th>single<th>/env"
          "<th>max abs<th>at<th>ULP<th>cosine<th>% off<th>NaN, Inf\n", to);
    for (int i = 0; i < c->count; i++)
        if (c->item[i].layer.state == PORT_FITS || c->item[i].layer.state == PORT_WRONG_SHAPE)
            put_row(to, r, &c->item[i]);
    fputs("</table>\n", to);
}

static void put_verdict(FILE *to, const struct report *r)
{
    char text[1024];
    const struct comparison *c = r->result;
    const struct report_worst w = report_worst(r);
    const struct port_counts n = port_counts(r->port);
    fprintf(to, "<p>%s (%s) against %s, in %s. %d of %d layers compared, %d failed, %d of them by "
            "their own error.</p>\n<p class=\"verdict\">", r->mine, port_format(r->port),
            port_model(r->port), number_name(r->type), n.fits, n.layers, c->failed,
            c->failed_single);
    if (c->first >= 0) {
        fputs("First divergent layer: ", to);
        xml_text(to, report_sentence(r, &c->item[c->first], text, sizeof text));
    } else {
        fputs("Every layer is within its limit.", to);
    }
    fprintf(to, "</p>\n<p>Errors are ||x - ref64|| / ||ref64||: <i>entire</i> as the port ran, "
            "<i>single</i> from the port's own inputs of a layer. <i>/env</i>: over what an honest "
            "%s port loses on the same numbers (at least %.1e); up to %g passes. The smallest "
            "tolerance that would pass, as run: %.3g envelopes, atol %.2e or rtol %.2e.</p>\n",
            number_name(r->type), number_floor(r->type), ENVELOPE_K, w.entire, w.atol, w.rtol);
}

struct pictures {
    char *layers, *bins, *map;
};

/* Before the file is touched: without gnuplot there is none. */
static bool pictures_new(struct pictures *p, const struct report *r, struct error *e)
{
    p->layers = plot_layers(r, e);
    p->bins = p->layers ? plot_bins(r, e) : NULL;
    p->map = p->bins && r->result->picture.map ? plot_map(r, e) : NULL;
    if (p->bins && (p->map || !r->result->picture.map))
        return true;
    free(p->layers);
    free(p->bins);
    return false;
}

static void put_pictures(FILE *to, const struct report *r, struct pictures *p)
{
    fputs("<h2>Error per layer</h2>\n", to);
    put_picture(to, p->layers, "relative error of every layer in graph order");
    fprintf(to, "<h2>Error of %s</h2>\n<div class=\"pair\">",
            r->result->picture.node ? r->result->picture.node->name : "");
    put_picture(to, p->bins, "histogram of the error");
    put_picture(to, p->map, "where in the image the error is");
    fputs("</div>\n", to);
}

bool report_html(const struct report *r, const char *path, struct error *e)
{
    struct pictures p;
    if (!pictures_new(&p, r, e))
        return false;
    FILE *to = fopen(path, "w");
    if (!to) {
        free(p.layers);
        free(p.bins);
        free(p.map);
        return fail(e, EXIT_USAGE, "%s: cannot be written: %s", path, strerror(errno));
    }
    fprintf(to, "<!DOCTYPE html>\n<html lang=\"en\"><meta charset=\"utf-8\">\n<title>");
    xml_text(to, r->mine);
    fprintf(to, "</title>\n<style>%s</style>\n<h1>internimage compare</h1>\n", style);
    put_verdict(to, r);
    put_pictures(to, r, &p);
    put_table(to, r);
    fputs("</html>\n", to);
    const bool failed = ferror(to);
    return (!fclose(to) && !failed)
        || fail(e, EXIT_USAGE, "%s: cannot be written: %s", path, strerror(errno));
}
