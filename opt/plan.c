#include "onednn.h"
#include "plan_internal.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

static float *aligned_floats(size_t count)
{
    size_t bytes = (count * sizeof(float) + 63) / 64 * 64;
    float *p = aligned_alloc(64, bytes ? bytes : 64);
    if (p)
        memset(p, 0, bytes);
    return p;
}

float *plan_own(struct plan *p, size_t floats)
{
    float **list = realloc(p->owned, (size_t)(p->owned_count + 1) * sizeof *list);
    if (!list)
        return NULL;
    p->owned = list;
    float *memory = aligned_floats(floats);
    if (memory) {
        p->owned[p->owned_count++] = memory;
        p->owned_bytes += floats * sizeof(float);
    }
    return memory;
}

/* Whether two buffers are needed at the same time. */
static bool overlap(const struct buffer *a, const struct buffer *b)
{
    return a->first <= b->last && b->first <= a->last;
}

/* Places buffer i at the lowest offset where it collides with none placed before. */
static void place(struct plan *p, int i, const bool *placed)
{
    struct buffer *b = &p->buffer[i];
    bool moved = true;
    b->offset = 0;
    while (moved) {
        moved = false;
        for (int k = 0; k < p->buffers; k++) {
            const struct buffer *o = &p->buffer[k];
            if (placed[k] && (p->keep || overlap(b, o)) && b->offset < o->offset + o->size
                && o->offset < b->offset + b->size) {
                b->offset = o->offset + o->size;
                moved = true;
            }
        }
    }
    if (b->offset + b->size > p->arena_size)
        p->arena_size = b->offset + b->size;
}

/* Largest first: the usual greedy, close to the peak of what is alive at once. */
static bool lay_out(struct plan *p)
{
    bool *placed = calloc((size_t)p->buffers + 1, sizeof *placed);
    for (int n = 0; placed && n < p->buffers; n++) {
        int best = -1;
        for (int i = 0; i < p->buffers; i++)
            if (!placed[i] && (best < 0 || p->buffer[i].size > p->buffer[best].size))
                best = i;
        place(p, best, placed);
        placed[best] = true;
    }
    free(placed);
    return placed != NULL;
}

struct plan *plan_new(const struct graph *g, float *const *params, struct plan_options o,
                      struct error *e)
{
    const struct kernels *kernels = kernels_select(o.isa, e);
    struct plan *p = kernels ? calloc(1, sizeof *p) : NULL;
    if (!p)
        return NULL;
    p->graph = g;
    p->kernels = kernels;
    p->keep = o.keep;
    p->threads = o.threads > 0 ? o.threads : omp_get_max_threads();
    bool ok = plan_compile(p, params, &o, e) && lay_out(p);
    for (int i = 0; ok && i < p->steps; i++)
        if (p->step[i].scratch > p->scratch_size)
            p->scratch_size = (p->step[i].scratch + 15) / 16 * 16;
    p->arena = ok ? aligned_floats(p->arena_size) : NULL;
    p->scratch = ok ? aligned_floats(p->scratch_size * (size_t)p->threads) : NULL;
    if (p->arena && p->scratch)
        return p;
    fail(e, EXIT_USAGE, "out of memory for a plan");
    plan_free(p);
    return NULL;
}

void plan_free(struct plan *p)
{
    if (!p)
        return;
    for (int i = 0; i < p->steps; i++)
        onednn_free(p->step[i].primitive);
    for (int i = 0; i < p->owned_count; i++)
        free(p->owned[i]);
    free(p->owned);
    free(p->step);
    free(p->buffer);
    free(p->buffer_of);
    free(p->arena);
    free(p->scratch);
    free(p);
}

/* Steps [first, last) in one parallel region; a barrier after every step. */
static void run_together(struct plan *p, int first, int last)
{
#pragma omp parallel num_threads(p->threads)
    {
        const int thread = omp_get_thread_num(), threads = omp_get_num_threads();
        double start = p->profiling ? omp_get_wtime() : 0;
        for (int i = first; i < last; i++) {
            struct step *s = &p->step[i];
            s->run(p, s, thread, threads);
#pragma omp barrier
            if (p->profiling && thread == 0) {
                double now = omp_get_wtime();
                s->seconds += now - start;
                start = now;
            }
        }
    }
}

/* A step that brings its own threads. */
static void run_whole(struct plan *p, struct step *s)
{
    const int before = omp_get_max_threads();
    const double start = p->profiling ? omp_get_wtime() : 0;
    omp_set_num_threads(p->threads);
    s->run(p, s, 0, 1);
    omp_set_num_threads(before);
    if (p->profiling)
        s->seconds += omp_get_wtime() - start;
}

void plan_run(struct plan *p, const float *const *inputs, float *output)
{
    const struct node *last = p->graph->node[p->graph->nodes - 1];
    p->inputs = inputs;
    for (int i = 0; i < p->steps;) {
        if (p->step[i].whole) {
            run_whole(p, &p->step[i++]);
            continue;
        }
        const int first = i;
        while (i < p->steps && !p->step[i].whole)
            i++;
        run_together(p, first, i);
    }
    p->runs++;
    memcpy(output, plan_value(p, last), (size_t)shape_count(&last->shape) * sizeof *output);
}

const float *plan_value(const struct plan *p, const struct node *n)
{
    int index = p->buffer_of[n->id];
    if (index >= 0 && p->buffer[index].frame_width)
        return NULL;                    /* a frame is no plain tensor */
    bool alive = index >= 0 && (p->keep || p->buffer[index].last >= p->steps);
    return alive ? buffer_at(p, index) : NULL;
}

const char *plan_isa(const struct plan *p)
{
    return p->kernels->isa;
}

int plan_threads(const struct plan *p)
{
    return p->threads;
}

size_t plan_arena_bytes(const struct plan *p)
{
    return (p->arena_size + p->scratch_size * (size_t)p->threads) * sizeof(float);
}

size_t plan_weight_bytes(const struct plan *p)
{
    return p->owned_bytes;
}

void plan_profile(struct plan *p, bool on)
{
    p->profiling = on;
    p->runs = 0;
    for (int i = 0; i < p->steps; i++)
        p->step[i].seconds = 0;
}

int plan_steps(const struct plan *p)
{
    return p->steps;
}

struct plan_step_info plan_step(const struct plan *p, int index)
{
    const struct step *s = &p->step[index];
    return (struct plan_step_info){
        .name = s->node->name, .kind = s->kind, .seconds = s->seconds / (p->runs ? p->runs : 1),
        .flops = s->flops,
    };
}
