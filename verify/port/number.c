#include "number.h"

#include "datasets/half.h"
#include "verify/metrics.h"

#include <float.h>
#include <string.h>

static const struct {
    const char *option, *name;
    double unit, largest, floor;
} types[] = {
    {"fp32", "float32", FLOAT_UNIT, FLT_MAX, ENVELOPE_FLOOR},
    {"fp16", "float16", 0x1p-11, 65504, 0x1p-11},
    {"bf16", "bfloat16", 0x1p-8, 0x1.FEp127, 0x1p-8},
};

bool number_find(const char *name, enum number *type)
{
    for (int i = 0; i < 3; i++)
        if (!strcmp(name, types[i].option) || !strcmp(name, types[i].name)) {
            *type = (enum number)i;
            return true;
        }
    return false;
}

const char *number_name(enum number type) { return types[type].name; }
double number_unit(enum number type) { return types[type].unit; }
double number_largest(enum number type) { return types[type].largest; }
double number_floor(enum number type) { return types[type].floor; }

void number_round(enum number type, int64_t count, float *values)
{
    for (int64_t i = 0; type == NUMBER_F16 && i < count; i++)
        values[i] = half_to_float(half_from_double(values[i]));
    for (int64_t i = 0; type == NUMBER_BF16 && i < count; i++)
        values[i] = bfloat16_to_float(bfloat16_from_double(values[i]));
}
