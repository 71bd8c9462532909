/* A port beside a golden file: GOLDEN says which model runs on which input with which
 * parameters, MINE holds what the port computed, and every tensor of MINE is matched to the
 * node of the graph it claims to be. `compare` and `diagnose` start here.
 *
 *   struct port *p = port_open("pico.h5", "mine.npz", (struct port_options){0}, &e);
 *   const struct node *n = graph_find(port_graph(p), "levels.0.blocks.0.dcn.core");
 *   double *out = port_read(p, n, NULL, &e);               what the port has of n
 *   struct port_inputs in;                                 what n saw in the port
 *   port_inputs_of(p, n, &in, &e);
 *
 * Names: the PyTorch path, exactly, or behind any of the prefixes module. model. backbone.
 * _orig_mod. float32. float64. (several are fine, float32 goes before float64); '/' counts
 * as '.'; a last ".output" is dropped; "output" is the last node. Other names by a map.
 *
 * Layout: values are handed out in the node's own order (NHWC for images in the graph, NCHW
 * for the input image), as double. A tensor fits when its dimensions are the node's, in that
 * order or as [N,C,H,W] (the input: [N,H,W,C]); dimensions of 1 may be missing, neighbours
 * may be merged or split ([N,H*W,C], [N,H,W,G,P], flat). Where both orders fit (C = H = W,
 * or flat) the file's `layout` attribute decides (dump.py writes it), otherwise whichever lies
 * nearer to the reference, see port_read(). */
#ifndef VERIFY_PORT_PORT_H
#define VERIFY_PORT_PORT_H

#include "datasets/tensors.h"
#include "ref/internimage.h"

/* What MINE has of one node. */
enum port_state {
    PORT_ABSENT,                /* no tensor of that name */
    PORT_FITS,
    PORT_WRONG_SHAPE,           /* there, but neither order fits */
    PORT_SAMPLED,               /* there, but only 64 samples of it (dump.py --limit) */
};

struct port_layer {
    enum port_state state;
    int tensor;                 /* in the tensor file; -1 when absent */
    bool permuted;              /* the other order: [N,C,H,W], for the input [N,H,W,C] */
    bool either;                /* both orders fit and nothing has decided yet */
};

struct port_options {
    const char *map;            /* file of lines "graph_name = their_name"; NULL: none */
    const char *prefix;         /* one more prefix to strip; NULL: none */
};

struct port_counts {
    int layers;                 /* nodes of the graph that a port computes */
    int fits, wrong_shape, sampled, absent;
    int spare;                  /* tensors of MINE that stand behind another of that name */
    int unknown;                /* tensors of MINE that no node is called */
    int unknown_first;          /* first of them, -1: none */
    int permuted;               /* of those that fit */
};

struct port;

/* NULL with *e filled: a bad file (EXIT_BAD_FILE), or EXIT_INCONCLUSIVE when no tensor of
 * MINE is called like a node of GOLDEN's graph; the sentence then shows a name of each. */
struct port *port_open(const char *golden, const char *mine, struct port_options o,
                       struct error *e);
void port_close(struct port *p);                        /* NULL is fine */

const struct graph *port_graph(const struct port *p);
const struct internimage_config *port_config(const struct port *p);
const char *port_model(const struct port *p);           /* name for people */
const char *port_format(const struct port *p);          /* of MINE: "HDF5", "npz", ... */
struct port_counts port_counts(const struct port *p);
const struct port_layer *port_layer(const struct port *p, const struct node *n);
const struct tensor_info *port_tensor(const struct port *p, const struct node *n);  /* or NULL */
struct tensor_file *port_file(const struct port *p);

/* GOLDEN's: parameter i of the graph, and the input image [N,3,H,W]. */
const float *port_param(const struct port *p, int index);
float *const *port_params(const struct port *p);        /* all of them */
const float *port_image(const struct port *p);

/* The whole tensor of a node that fits, in the node's order; the caller frees. `like` (the
 * reference's value, may be NULL) settles a layout that could be either, for good: without it
 * such a tensor is taken to be in the node's order. */
double *port_read(struct port *p, const struct node *n, const double *like, struct error *e);

/* The inputs of node n as they were in the port. What MINE does not hold is computed by
 * ref64 from what it does hold further up, at worst from GOLDEN's image. */
struct port_inputs {
    double *in[MAX_INPUTS];     /* in the order of n->in, each in its node's order */
    bool found[MAX_INPUTS];     /* as found in MINE; false: computed */
};
bool port_inputs_of(struct port *p, const struct node *n, struct port_inputs *in,
                    struct error *e);
void port_inputs_free(struct port_inputs *in);

/* Whether a node's own order is [N,C,H,W]. */
bool node_is_nchw(const struct node *n);

#endif
