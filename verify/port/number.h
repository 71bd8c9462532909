/* The number type a port keeps its values in, and what rounding to it costs.
 *
 * The rule for all types: parameters, the image and every layer's result are stored in the
 * type (rounded to nearest, ties to even); inside of a layer everything is float32. That is
 * what tensor cores, oneDNN and PyTorch do: operands in the type, sums in float32. What a
 * port loses beyond that - sums or sampling positions in half precision - is avoidable, so it
 * counts as an error; a port that keeps more is inside the envelope as well. */
#ifndef VERIFY_PORT_NUMBER_H
#define VERIFY_PORT_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

enum number { NUMBER_F32, NUMBER_F16, NUMBER_BF16 };

bool number_find(const char *name, enum number *type);  /* "fp32" "fp16" "bf16" */
const char *number_name(enum number type);              /* "float32" ... */
double number_unit(enum number type);                   /* half the spacing at 1: 2^-24 ... */
double number_largest(enum number type);                /* largest finite value */
/* The least envelope: 4 units in float32 (verify/metrics.h), where ref32 may be right by
 * luck; one unit in the others, whose envelope holds the rounding of the result already. */
double number_floor(enum number type);
void number_round(enum number type, int64_t count, float *values);

#endif
