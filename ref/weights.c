#include "weights.h"

#include <math.h>
#include <string.h>

static uint64_t fnv1a(const char *s)
{
    uint64_t h = 14695981039346656037u;
    while (*s)
        h = (h ^ (unsigned char)*s++) * 1099511628211u;
    return h;
}

static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static uint64_t stream(const char *name, uint64_t seed)
{
    return fnv1a(name) + seed * 0xD1B54A32D192ED03u;
}

uint64_t seeded_hash(const char *name, uint64_t index, uint64_t seed)
{
    return mix(stream(name, seed) + (index + 1) * 0x9E3779B97F4A7C15u);
}

static void uniform(uint64_t start, int64_t count, float center, float scale, float *out)
{
    for (int64_t i = 0; i < count; i++) {
        uint64_t h = mix(start + ((uint64_t)i + 1) * 0x9E3779B97F4A7C15u);
        float u = (float)((int32_t)(h >> 40) - (1 << 23)) * 0x1p-23f;
        float scaled = scale * u;
        out[i] = center + scaled;
    }
}

void seeded_uniform(const char *name, uint64_t seed, int64_t count, float *out)
{
    uniform(stream(name, seed), count, 0, 1, out);
}

static bool ends_in(const char *key, const char *suffix)
{
    size_t k = strlen(key), s = strlen(suffix);
    return k >= s && !strcmp(key + k - s, suffix);
}

void seeded_parameter(const struct param *p, uint64_t seed, float *out)
{
    int64_t count = shape_count(&p->shape), fan_in = count / p->shape.dim[0];
    float unit = (float)sqrt(3.0 / (double)fan_in), center = 0, scale = unit;
    if (ends_in(p->key, "running_mean"))
        scale = 0.1f;
    else if (ends_in(p->key, "running_var"))
        center = 1, scale = 0.25f;
    else if (ends_in(p->key, "gamma1") || ends_in(p->key, "gamma2"))
        center = 0.5f, scale = 0.25f;
    else if (ends_in(p->key, "offset.bias"))
        scale = 0.5f;
    else if (ends_in(p->key, "bias"))
        scale = 0.1f;
    else if (p->shape.rank == 1)
        center = 1, scale = 0.25f;
    else if (ends_in(p->key, "offset.weight"))
        scale = (float)(1.5 * sqrt(3.0 / (double)fan_in));
    else if (ends_in(p->key, "mask.weight"))
        scale = (float)(2.5 * sqrt(3.0 / (double)fan_in));
    uniform(stream(p->key, seed), count, center, scale, out);
}
