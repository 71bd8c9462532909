/* Rounding to the 16-bit number types, to nearest even, as a value that stays a double. */
#ifndef VERIFY_HALF_H
#define VERIFY_HALF_H

double round_fp16(double x);            /* beyond 65519: infinite */
double round_bf16(double x);

#endif
