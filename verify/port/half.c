#include "verify/port/half.h"

#include <math.h>

/* To `bits` significant bits, the smallest exponent being `least` (of frexp). */
static double round_to(double x, int bits, int least, double most)
{
    int exponent;
    if (!isfinite(x) || x == 0)
        return x;
    frexp(x, &exponent);
    double unit = ldexp(1, (exponent < least ? least : exponent) - bits);
    double y = nearbyint(x / unit) * unit;
    return fabs(y) > most ? copysign(INFINITY, x) : y;
}

double round_fp16(double x)
{
    return round_to(x, 11, -13, 65504);
}

double round_bf16(double x)
{
    return round_to(x, 8, -125, 0x1.fep127);
}
