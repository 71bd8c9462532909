/* How good is a suite? Every wrong convention of the catalogue is made in the reference, on one
 * kind of op at a time; a suite is as good as the share of them that it notices by its own rule. */
#include "vectors.h"
#include "vectors_case.h"
#include "conventions.h"
#include "gradient_slips.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const columns[] = {"DCNv1", "DCNv2", "DCNv3", "other ops", "layers", "models"};
enum { COLUMN_DCNV1, COLUMN_DCNV2, COLUMN_DCNV3, COLUMN_OTHER, COLUMN_LAYERS, COLUMN_MODELS,
       COLUMNS };

struct scoring {
    struct score *score;
    bool quick;
    struct h5_file *file;
    struct vector_rule rule;
    struct error *error;
    struct ref64_run *mutant;           /* of the case at hand */
};

/* --- rows -------------------------------------------------------------------------------- */

/* One row per mistake and kind of op, in the catalogue's order. */
static bool rows_new(struct score *s, struct error *e)
{
    s->columns = COLUMNS;
    for (int i = 0; i < COLUMNS; i++)
        snprintf(s->column[i], sizeof s->column[i], "%s", columns[i]);
    s->row = calloc((size_t)(MISTAKES + 1) * OP_COUNT, sizeof *s->row);
    if (!s->row)
        return fail(e, EXIT_USAGE, "out of memory");
    for (int m = 0; m < MISTAKES; m++) {
        const struct convention *c = convention_at(m);
        for (int op = 0; op <= OP_COUNT; op++)
            if (op < OP_COUNT ? c->ops >> op & 1 : c->ops == 0)
                s->row[s->rows++] = (struct score_row){
                    .code = c->code, .title = c->title,
                    .op = op < OP_COUNT ? ref64_op_row(op)->name : "block"};
    }
    s->first_gradient = s->rows;
    for (int i = 0; i < GRADIENT_SLIPS; i++)
        for (int v3 = 0; v3 < 2; v3++)
            if (v3 ? gradient_slips[i].dcnv3 : gradient_slips[i].dcnv2)
                s->row[s->rows++] = (struct score_row){
                    .code = gradient_slips[i].code, .title = gradient_slips[i].title,
                    .op = v3 ? "dcnv3 backward" : "dcnv2 backward"};
    return true;
}

static bool noticed_before(const struct score_row *r)
{
    for (int i = 0; i < SCORE_COLUMNS; i++)
        if (r->killed[i])
            return true;
    return false;
}

/* --- one mistake on one case ------------------------------------------------------------------ */

static bool refused(const struct vector_case *c, const struct ref64_run *r)
{
    for (int i = 0; i < c->checks; i++)
        if (!vector_check(&c->check[i], r->value[c->check[i].node]))
            return true;
    return false;
}

/* Runs the graph with the mistake in every node of the kind. *applies: whether it befalls any. */
static bool run_mutant(struct scoring *s, const struct vector_case *c,
                       const struct convention *mistake, enum op_kind op, bool *applies)
{
    const struct graph *g = c->pair.graph;
    *applies = false;
    for (int i = 0; i < g->nodes; i++) {
        const struct node *n = g->node[i];
        const struct ref64_op_args a = ref64_run_args(s->mutant, n);
        const bool here = n->op == op && convention_applies(mistake, n);
        *applies = *applies || here;
        if (here) {
            if (!convention_apply(mistake, NULL, n, &a, s->mutant->value[i], s->error))
                return false;
        } else if (!*applies || n->op == OP_input) {
            memcpy(s->mutant->value[i], c->pair.r64->value[i],
                   (size_t)shape_count(&n->shape) * sizeof(double));
        } else {
            ref64_op_row(n->op)->forward(n, &a, s->mutant->value[i]);
        }
    }
    return true;
}

/* A block put together in another order is another graph; values are compared by name. */
static bool block_mistake(enum mistake m, struct internimage_config *c)
{
    if (m == NO01 && !c->post_norm && !c->res_post_norm)
        return c->post_norm = true;
    if (m == NO02 && c->post_norm)
        return !(c->post_norm = false);
    if (m == NO03 && c->res_post_norm && !c->layer_scale)
        return !(c->res_post_norm = false);
    return false;
}

static void copy_by_name(const struct vector_case *c, struct ref64_run *to)
{
    const struct graph *g = to->graph;
    for (int i = 0; i < g->params; i++) {
        const int from = graph_find_param(c->pair.graph, g->param[i].key);
        const int64_t count = shape_count(&g->param[i].shape);
        const char *end = strrchr(g->param[i].key, '.');
        for (int64_t k = 0; k < count; k++) /* a norm that was not there changes nothing much */
            to->param[i][k] = from >= 0 ? c->pair.r64->param[from][k] : !strcmp(end, ".weight");
    }
    memcpy(to->value[0], c->pair.r64->value[0],
           (size_t)shape_count(&g->node[0]->shape) * sizeof(double));
}

static bool refused_block(struct scoring *s, const struct vector_case *c, enum mistake m,
                          bool *applies, bool *killed)
{
    struct internimage_config config = c->config;
    const int64_t *in = c->pair.graph->node[0]->shape.dim;
    *applies = c->is_model && block_mistake(m, &config);
    if (!*applies)
        return true;
    struct graph *g = internimage_graph(&config, (int)in[0], (int)in[2], (int)in[3], s->error);
    struct ref64_run *r = g ? ref64_run_new(g, s->error) : NULL;
    if (r) {
        copy_by_name(c, r);
        ref64_run_forward(r, NULL, NULL);
        for (int i = 0; i < c->checks; i++) {
            const struct node *n = graph_find(g, c->pair.graph->node[c->check[i].node]->name);
            *killed = *killed || (n && !vector_check(&c->check[i], r->value[n->id]));
        }
    }
    ref64_run_free(r);
    graph_free(g);
    return r != NULL;
}

/* --- one case -------------------------------------------------------------------------------- */

static int column_of(const struct vector_case *c)
{
    const struct node *last = c->pair.graph->node[c->pair.graph->nodes - 1];
    if (c->is_model)
        return COLUMN_MODELS;
    if (c->is_module)
        return COLUMN_LAYERS;
    if (last->op == OP_dcnv2)
        return last->inputs == 3 ? COLUMN_DCNV2 : COLUMN_DCNV1;
    return last->op == OP_dcnv3 ? COLUMN_DCNV3 : COLUMN_OTHER;
}

static void check_right(struct scoring *s, const struct vector_case *c)
{
    for (int i = 0; i < c->checks; i++) {
        const struct vector_check *k = &c->check[i];
        s->score->tensors++;
        if (vector_check(k, c->pair.r64->value[k->node]))
            continue;
        if (s->score->false_alarms++ == 0)
            snprintf(s->score->alarm, sizeof s->score->alarm, "%.120s: %.60s", c->name,
                     c->pair.graph->node[k->node]->name);
    }
}

static bool score_rows(struct scoring *s, const struct vector_case *c, int column)
{
    int row = 0;
    for (int m = 0; m < MISTAKES; m++)
        for (int op = 0; op <= OP_COUNT; op++) {
            const struct convention *mistake = convention_at(m);
            if (!(op < OP_COUNT ? mistake->ops >> op & 1 : mistake->ops == 0))
                continue;
            struct score_row *r = &s->score->row[row++];
            bool applies = false, killed = false;
            if (s->quick && noticed_before(r))
                continue;
            const bool ok = op == OP_COUNT ? refused_block(s, c, m, &applies, &killed)
                                           : run_mutant(s, c, mistake, op, &applies);
            if (!ok)
                return false;
            r->applied[column] += applies;
            r->killed[column] += applies && (op == OP_COUNT ? killed : refused(c, s->mutant));
        }
    return true;
}

/* --- gradients ----------------------------------------------------------------------------- */

static bool refused_gradients(const struct vector_case *c, const struct node_gradients *g)
{
    for (int i = 0; i < c->gradients; i++)
        if (!vector_check(&c->gradient[i], g->d[c->gradient[i].node]))
            return true;
    return false;
}

static void check_right_gradients(struct score *s, const struct vector_case *c,
                                  const struct node_gradients *g)
{
    s->tensors += c->gradients;
    if (!refused_gradients(c, g))
        return;
    if (s->false_alarms++ == 0)
        snprintf(s->alarm, sizeof s->alarm, "%.120s: its gradients", c->name);
}

static bool score_gradients(struct scoring *s, const struct vector_case *c, int column)
{
    const struct node *n = c->pair.graph->node[c->pair.graph->nodes - 1];
    struct node_gradients g;
    bool applies;
    int row = s->score->first_gradient;
    if (!c->d_output || !c->gradients)
        return true;
    if (!node_gradients_new(&g, n, c->pair.graph, s->error))
        return false;
    bool ok = gradient_slip_apply(-1, n, c->pair.r64, c->d_output, &g, &applies, s->error);
    if (ok)
        check_right_gradients(s->score, c, &g);
    for (int i = 0; ok && i < GRADIENT_SLIPS; i++)
        for (int v3 = 0; ok && v3 < 2; v3++) {
            if (!(v3 ? gradient_slips[i].dcnv3 : gradient_slips[i].dcnv2))
                continue;
            struct score_row *r = &s->score->row[row++];
            if (v3 != (n->op == OP_dcnv3) || (s->quick && noticed_before(r)))
                continue;
            ok = gradient_slip_apply(i, n, c->pair.r64, c->d_output, &g, &applies, s->error);
            r->applied[column] += ok && applies;
            r->killed[column] += ok && applies && refused_gradients(c, &g);
        }
    node_gradients_free(&g);
    return ok;
}

static bool score_case(void *context, const struct vector_case *c, struct error *e)
{
    struct scoring *s = context;
    const struct graph *g = c->pair.graph;
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r\033[K%s", c->name);
    s->mutant = ref64_run_new(g, e);
    if (!s->mutant)
        return false;
    for (int i = 0; i < g->params; i++)
        memcpy(s->mutant->param[i], c->pair.r64->param[i],
               (size_t)shape_count(&g->param[i].shape) * sizeof(double));
    s->score->cases++;
    check_right(s, c);
    const bool ok = score_rows(s, c, column_of(c)) && score_gradients(s, c, column_of(c));
    ref64_run_free(s->mutant);
    return ok;
}

/* --- the folder -------------------------------------------------------------------------- */

static int is_h5(const struct dirent *d)
{
    const size_t length = strlen(d->d_name);
    return length > 3 && !strcmp(d->d_name + length - 3, ".h5");
}

/* ops.h5 first: single ops are the quickest to notice a mistake. */
static int ops_first(const struct dirent **a, const struct dirent **b)
{
    const int x = !strcmp((*a)->d_name, "ops.h5"), y = !strcmp((*b)->d_name, "ops.h5");
    return x == y ? strcmp((*a)->d_name, (*b)->d_name) : y - x;
}

bool vectors_score(const char *folder, bool quick, struct score *s, struct error *e)
{
    struct dirent **entry;
    struct scoring scoring = {.score = s, .quick = quick, .error = e};
    *s = (struct score){0};
    if (!rows_new(s, e))
        return false;
    int count = scandir(folder, &entry, is_h5, ops_first);
    bool ok = true;
    if (count < 0)
        return vector_cases(folder, score_case, &scoring, e);
    for (int i = 0; i < count; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", folder, entry[i]->d_name);
        ok = ok && vector_cases(path, score_case, &scoring, e);
        free(entry[i]);
    }
    free(entry);
    if (isatty(STDERR_FILENO))
        fputs("\r\033[K", stderr);
    return ok && (s->cases > 0
                  || fail(e, EXIT_INCONCLUSIVE, "%s: there are no cases in it", folder));
}

void score_total(const struct score *s, int *mutants, int *killed)
{
    *mutants = *killed = 0;
    for (int i = 0; i < s->rows; i++) {
        int applied = 0;        /* cases that the mistake can befall */
        for (int k = 0; k < s->columns; k++)
            applied += s->row[i].applied[k];
        *mutants += applied > 0;
        *killed += noticed_before(&s->row[i]);
    }
}

void score_free(struct score *s)
{
    free(s->row);
    *s = (struct score){0};
}
