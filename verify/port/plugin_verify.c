#include "plugin_verify.h"
#include "dcn_case.h"
#include "plugin_mistake.h"
#include "plugin_run.h"

#include "verify/json.h"
#include "verify/table.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Layers of real size: DCNv3 of InternImage-T's stages 1 and 3, two of DCNv2. */
#define WINDOW3 {.kernel = 3, .stride = 1, .pad = 1, .dilation = 1}
static const struct dcn_case layers[] = {
    {.op = OP_dcnv3, .batch = 1, .height = 56, .width = 56, .groups = 4, .group_channels = 16,
     .y = WINDOW3, .x = WINDOW3},
    {.op = OP_dcnv3, .batch = 1, .height = 14, .width = 14, .groups = 16, .group_channels = 16,
     .y = WINDOW3, .x = WINDOW3},
    {.op = OP_dcnv2, .batch = 1, .height = 28, .width = 28, .in_channels = 64, .out_channels = 64,
     .y = WINDOW3, .x = WINDOW3},
    {.op = OP_dcnv2, .batch = 1, .height = 14, .width = 14, .in_channels = 64, .out_channels = 64,
     .offset_groups = 8, .y = WINDOW3, .x = WINDOW3},
};

/* One line of the table: a case in one direction. */
struct line {
    char unit[128], how[200];
    enum direction direction;
    enum plugin_outcome outcome;
    double mine, ref, opt;
    int first, count;           /* its findings */
};

struct session {
    const struct plugin_options *options;
    struct plugin plugin;
    struct h5_file *file;
    struct findings found;
    struct plugin_votes votes;
    struct line *line;
    int lines, room;
    struct error *error;
};

/* --- running ---------------------------------------------------------------------- */

static struct line *new_line(struct session *s, const char *unit, enum direction d)
{
    if (s->lines == s->room) {
        const int room = s->room ? 2 * s->room : 128;
        struct line *line = realloc(s->line, (size_t)room * sizeof *line);
        if (!line) {
            fail(s->error, EXIT_USAGE, "out of memory for %d results", room);
            return NULL;
        }
        s->line = line;
        s->room = room;
    }
    struct line *l = &s->line[s->lines++];
    *l = (struct line){.direction = d, .first = s->found.count};
    snprintf(l->unit, sizeof l->unit, "%s", unit);
    return l;
}

static bool judge(struct session *s, const struct line *l, const struct pair *p,
                  const struct plugin_result *r, double condition)
{
    for (int i = 0; i < r->tensors; i++) {
        struct finding f = {.direction = l->direction, .condition = condition, .has_opt = true};
        snprintf(f.unit, sizeof f.unit, "%s", l->unit);
        snprintf(f.tensor, sizeof f.tensor, "%s", r->name[i]);
        f.ref32 = measure32(r->count[i], r->ref32[i], r->truth[i], NULL, NULL);
        f.opt = measure32(r->count[i], r->value[i], r->truth[i], NULL, NULL);
        f.ref32_limit = 1;              /* the reference is judged by `verify` itself */
        if (!findings_add(&s->found, &f, s->error))
            return false;
        if (l->direction == FORWARD && !f.pass
            && !plugin_vote(&s->votes, p, r->value[i], f.torch32_limit, s->error))
            return false;
    }
    return true;
}

static bool run_direction(struct session *s, const char *unit, const struct pair *p,
                          const float *d_output, double condition, double seconds)
{
    struct plugin_result r;
    struct line *l = new_line(s, unit, d_output ? GRADIENT : FORWARD);
    const struct plugin_trial t = {.plugin = &s->plugin, .pair = p, .d_output = d_output,
                                   .seconds = seconds};
    if (!l || !plugin_run(&t, &r, s->error))
        return false;
    l->outcome = r.outcome;
    l->mine = r.mine;
    l->ref = r.ref;
    l->opt = r.opt;
    memcpy(l->how, r.how, sizeof l->how);
    bool ok = r.outcome != PLUGIN_RAN || judge(s, l, p, &r, condition);
    l->count = s->found.count - l->first;
    plugin_result_free(&r);
    return ok;
}

static bool run_case(struct session *s, const char *unit, struct pair *p, const float *d_output,
                     double condition, double seconds)
{
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r\033[K%s", unit);
    pair_forward(p, NULL, NULL);
    bool ok = run_direction(s, unit, p, NULL, condition, seconds);
    if (ok && d_output)
        ok = pair_backward(p, d_output, s->error)
          && run_direction(s, unit, p, d_output, condition, seconds);
    return ok;
}

static bool wanted(const struct plugin_options *o, const char *name)
{
    return (!o->filter || strstr(name, o->filter)) && (!o->only || !strcmp(name, o->only));
}

static bool visit(void *context, const char *name, bool is_group)
{
    struct session *s = context;
    struct pair p;
    struct h5_info info;
    double condition;
    if (!is_group || !wanted(s->options, name)
        || (strncmp(name, "dcnv2 ", 6) && strncmp(name, "dcnv3 ", 6)))
        return true;
    if (!golden_case(s->file, name, &p, &condition, s->error))
        return false;
    const struct shape *out = &p.graph->node[p.graph->nodes - 1]->shape;
    float *d_output = h5_has(s->file, name, "grad_output")
                    ? h5_read_f32(s->file, name, "grad_output", &info, s->error) : NULL;
    bool ok = !d_output || info.count == shape_count(out)
           || fail(s->error, EXIT_BAD_FILE, "case '%s': grad_output has %lld values", name,
                   (long long)info.count);
    ok = ok && !s->error->text[0] && run_case(s, name, &p, d_output, condition, 0.01);
    free(d_output);
    pair_free(&p);
    return ok;
}

static bool run_goldens(struct session *s)
{
    char path[4096];
    struct stat st;
    const char *goldens = s->options->goldens;
    const bool folder = stat(goldens, &st) == 0 && S_ISDIR(st.st_mode);
    snprintf(path, sizeof path, "%s%s", goldens, folder ? "/ops.h5" : "");
    s->file = h5_open(path, s->error);
    bool ok = s->file && h5_each(s->file, "", visit, s, s->error) && !s->error->text[0];
    h5_close(s->file, NULL);
    return ok;
}

static bool run_layers(struct session *s)
{
    bool ok = true;
    for (size_t i = 0; ok && i < sizeof layers / sizeof *layers; i++) {
        char name[160];
        struct pair p;
        dcn_case_name(&layers[i], name, sizeof name);
        if (!wanted(s->options, name))
            continue;
        if (!dcn_case_new(&layers[i], &p, s->error))
            return false;
        float *d_output = dcn_case_d_output(&layers[i], &p, s->error);
        ok = d_output && run_case(s, name, &p, d_output, 1, 0.3);
        free(d_output);
        pair_free(&p);
    }
    return ok;
}

/* --- the verdict --------------------------------------------------------------------- */

static bool line_passed(const struct session *s, const struct line *l)
{
    bool pass = l->outcome == PLUGIN_RAN;
    for (int i = 0; i < l->count; i++)
        pass = pass && s->found.item[l->first + i].pass;
    return pass;
}

static const char *word(const struct session *s, const struct line *l)
{
    if (l->outcome == PLUGIN_MISSING || l->outcome == PLUGIN_DECLINED)
        return "SKIPPED";
    return l->outcome == PLUGIN_BROKEN ? "BROKEN" : line_passed(s, l) ? "PASS" : "FAIL";
}

static double over_envelope(const struct finding *f)
{
    return f->opt.rel_rms / f->torch32_limit * ENVELOPE_K;
}

static void print_line(const struct session *s, struct table *t, const struct line *l)
{
    char error[24] = "-", part[24] = "-", abs[24] = "-", time[4][24] = {"-", "-", "-", "-"};
    double worst = 0, most = 0, difference = 0;
    for (int i = 0; i < l->count; i++) {
        const struct finding *f = &s->found.item[l->first + i];
        worst = f->opt.rel_rms > worst ? f->opt.rel_rms : worst;
        most = over_envelope(f) > most ? over_envelope(f) : most;
        difference = f->opt.max_abs > difference ? f->opt.max_abs : difference;
    }
    if (l->count) {
        snprintf(error, sizeof error, "%.1e", worst);
        snprintf(part, sizeof part, "%.3g", most);
        snprintf(abs, sizeof abs, "%.1e", difference);
    }
    const double seconds[] = {l->ref, l->opt, l->mine};
    for (int i = 0; i < 3; i++)
        if (seconds[i] > 0)
            snprintf(time[i], sizeof time[i], "%.3f", 1e3 * seconds[i]);
    if (l->opt > 0 && l->mine > 0)
        snprintf(time[3], sizeof time[3], "%.2f", l->mine / l->opt);
    table_row(t, "%s|%s|%s|%s|%s|%s|%s|%s|%s|%s", l->unit,
              l->direction == GRADIENT ? "gradient" : "forward", error, part, abs, time[0], time[1],
              time[2], time[3], word(s, l));
}

static void print_failures(const struct session *s)
{
    int shown = 0;
    for (int i = 0; i < s->lines; i++) {
        const struct line *l = &s->line[i];
        const char *way = l->direction == GRADIENT ? "backward" : "forward";
        if (l->outcome == PLUGIN_BROKEN)
            printf("BROKEN %s %s: the plug-in %s\n", l->unit, way, l->how);
        for (int k = 0; k < l->count; k++) {
            const struct finding *f = &s->found.item[l->first + k];
            if (f->pass || shown++ >= 20)
                continue;
            printf("FAIL %s %s, %s: error %.2e (limit %.2e), %s %lld\n", l->unit, way, f->tensor,
                   f->opt.rel_rms, f->torch32_limit,
                   f->opt.bad ? "NaN or Inf at value" : "worst at value",
                   (long long)(f->opt.bad ? f->opt.bad_at : f->opt.max_at));
        }
    }
    if (shown > 20)
        printf("... and %d more tensors\n", shown - 20);
}

struct tally {
    int passed, failed, skipped;
    const struct line *first;   /* that failed */
};

static struct tally count(const struct session *s)
{
    struct tally t = {0};
    for (int i = 0; i < s->lines; i++) {
        const struct line *l = &s->line[i];
        if (l->outcome == PLUGIN_MISSING || l->outcome == PLUGIN_DECLINED)
            t.skipped++;
        else if (line_passed(s, l))
            t.passed++;
        else {
            t.failed++;
            t.first = t.first ? t.first : l;
        }
    }
    return t;
}

static void print_mistake(const struct session *s)
{
    char text[300];
    int votes;
    if (plugin_verdict(&s->votes, text, sizeof text, &votes))
        printf("what it does: %s\n    reproduces %d of %d failed forward cases to within rounding\n",
               text, votes, s->votes.examined);
    else if (s->votes.examined)
        printf("no wrong convention of the catalogue reproduces its results\n");
}

static void print_text(const struct session *s)
{
    struct table t = {0};
    const struct tally n = count(s);
    printf("plug-in: %s\n\n", s->plugin.name);
    table_row(&t, "case|pass|plug-in|/envelope|max abs|ref ms|opt ms|plug-in ms|plug-in/opt|");
    for (int i = 0; i < s->lines; i++)
        print_line(s, &t, &s->line[i]);
    table_print(&t, stdout);
    table_free(&t);
    printf("\nThe error is ||x - ref64|| / ||ref64||, the worst tensor of the line; it passes up to\n"
           "%g envelopes (what float32 costs the reference, at least %.1e).\n", ENVELOPE_K,
           ENVELOPE_FLOOR);
    print_failures(s);
    print_mistake(s);
    printf("%d passed, %d failed, %d SKIPPED (not exported, or declined by the plug-in)\n",
           n.passed, n.failed, n.skipped);
    if (n.first)
        printf("repeat the first: internimage verify --plugin %s --case '%s'\n",
               s->options->library, n.first->unit);
}

static void print_json(const struct session *s)
{
    struct json j = {.to = stdout, .first = true};
    const struct tally n = count(s);
    json_open(&j, NULL, '{');
    json_string(&j, "plugin", s->plugin.name);
    json_int(&j, "passed", n.passed);
    json_int(&j, "failed", n.failed);
    json_int(&j, "skipped", n.skipped);
    char mistake[300];
    int votes;
    if (plugin_verdict(&s->votes, mistake, sizeof mistake, &votes))
        json_string(&j, "mistake", mistake);
    json_open(&j, "cases", '[');
    for (int i = 0; i < s->lines; i++) {
        const struct line *l = &s->line[i];
        json_open(&j, NULL, '{');
        json_string(&j, "case", l->unit);
        json_string(&j, "pass", l->direction == GRADIENT ? "gradient" : "forward");
        json_string(&j, "verdict", word(s, l));
        if (l->outcome == PLUGIN_BROKEN)
            json_string(&j, "why", l->how);
        json_number(&j, "ref_seconds", l->ref);
        json_number(&j, "opt_seconds", l->opt);
        json_number(&j, "plugin_seconds", l->mine);
        json_open(&j, "tensors", '[');
        for (int k = 0; k < l->count; k++) {
            const struct finding *f = &s->found.item[l->first + k];
            json_open(&j, NULL, '{');
            json_string(&j, "tensor", f->tensor);
            json_bool(&j, "ok", f->pass);
            json_number(&j, "rel_rms", f->opt.rel_rms);
            json_number(&j, "limit", f->torch32_limit);
            json_number(&j, "max_abs", f->opt.max_abs);
            json_int(&j, "max_at", f->opt.max_at);
            json_int(&j, "nonfinite", f->opt.bad);
            json_close(&j, '}');
        }
        json_close(&j, ']');
        json_close(&j, '}');
    }
    json_close(&j, ']');
    json_close(&j, '}');
}

static int verdict(const struct session *s, struct error *e)
{
    const struct tally n = count(s);
    if (s->lines == 0)
        fail(e, EXIT_INCONCLUSIVE, "nothing was run: no DCN case has that name");
    else if (n.passed + n.failed == 0)
        fail(e, EXIT_INCONCLUSIVE, "%s did none of the %d cases", s->plugin.name, s->lines);
    return n.failed ? EXIT_MISMATCH : EXIT_MATCH;
}

int plugin_verify(const struct plugin_options *o, struct error *e)
{
    struct session s = {.options = o, .error = e};
    bool ok = plugin_open(o->library, &s.plugin, e) && run_goldens(&s) && run_layers(&s);
    if (isatty(STDERR_FILENO))
        fputs("\r\033[K", stderr);
    if (ok && s.lines && o->json)
        print_json(&s);
    else if (ok && s.lines)
        print_text(&s);
    const int code = ok ? verdict(&s, e) : (int)e->code;
    findings_free(&s.found);
    free(s.line);
    plugin_close(&s.plugin);
    return code;
}
