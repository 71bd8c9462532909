/* The checks that infer functions share: each returns false after filling the
 * graph's error with one sentence. */
#ifndef REF_CHECK_H
#define REF_CHECK_H

#include "graph.h"

bool check_rank(struct graph *g, const struct node *n, int input, int rank);
bool check_shape(struct graph *g, const struct node *n, int input, const struct shape *expected);
bool check_window(struct graph *g, const struct node *n);       /* kernel, stride... sane */
bool check_positions(struct graph *g, const struct node *n, int out_height, int out_width);
bool check_groups(struct graph *g, const struct node *n, int64_t channels);

bool infer_same(struct graph *g, struct node *n);               /* output like input 0 */
double no_macs(const struct node *n);
double one_term(const struct node *n);

#endif
