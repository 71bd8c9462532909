/* One file of the conformance suite, written twice: HDF5 and npz with the same names. */
#ifndef VERIFY_PORT_VECTOR_FILE_H
#define VERIFY_PORT_VECTOR_FILE_H

#include "datasets/h5.h"
#include "datasets/npz.h"
#include "ref/graph.h"
#include "verify/json.h"

struct vector_file {
    struct h5_file *h5;
    struct npz_file *npz;
    struct json *manifest;      /* of the folder; where every tensor is listed */
    const char *group;          /* the case being written; "": the file itself */
};

/* <folder>/<name>.h5 and .npz; `kind`: the golden file's, see docs/formats.md. */
bool vector_file_open(struct vector_file *f, struct json *manifest, const char *folder,
                      const char *name, const char *kind, struct error *e);
bool vector_file_close(struct vector_file *f, struct error *e);

/* A case: begin, attributes, tensors, end. `group` must live until the end. */
bool vector_case_begin(struct vector_file *f, const char *group, const char *op, struct error *e);
void vector_case_tensors(struct vector_file *f);
void vector_case_end(struct vector_file *f);

/* Attributes of the case, or of the file; in the npz they are the arrays "attr/<name>". */
bool vector_attr_ints(struct vector_file *f, const char *name, const int *value, int count,
                      struct error *e);
bool vector_attr_int(struct vector_file *f, const char *name, int value, struct error *e);
bool vector_attr_double(struct vector_file *f, const char *name, double value, struct error *e);

/* Something given: an input, a parameter. `part` is "in", "param", ... or "". */
bool vector_given(struct vector_file *f, const char *part, const char *key, const struct shape *s,
                  const float *data, struct error *e);
/* Something expected, float64/<key>, and its envelope, envelope/<key>. */
bool vector_expected(struct vector_file *f, const char *key, const struct shape *s,
                     const double *data, double envelope, struct error *e);
/* The same for a tensor too large to be kept: 64 of its values, where they lie (index/<key>),
 * its mean and its rms (moments/<key>). */
bool vector_sampled(struct vector_file *f, const char *key, const struct shape *s,
                    const double *data, double envelope, struct error *e);

#endif
