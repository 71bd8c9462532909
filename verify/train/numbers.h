/* Numbers from the command line. NULL text leaves *out as it is. */
#ifndef VERIFY_TRAIN_NUMBERS_H
#define VERIFY_TRAIN_NUMBERS_H

#include "ref/error.h"

bool number_from(const char *text, const char *option, double least, double most, double *out,
                 struct error *e);
bool integer_from(const char *text, const char *option, double least, double most, int *out,
                  struct error *e);

#endif
