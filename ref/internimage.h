/* The InternImage backbone with its two classification heads, as a graph. */
#ifndef REF_INTERNIMAGE_H
#define REF_INTERNIMAGE_H

#include "graph.h"

enum { LEVELS = 4, MAX_POST_NORMS = 16 };

/* What becomes of the modulation's logits before they weigh the samples. All but the
 * softmax are ablations: DCNv2's sigmoid, the logits themselves, or no such branch and
 * every sample weighted 1 / points. */
enum modulation {
    MODULATION_SOFTMAX, MODULATION_SIGMOID, MODULATION_LINEAR, MODULATION_NONE, MODULATIONS
};

/* The architecture; names as in docs/formats.md (`config.*`). */
struct internimage_config {
    char name[32];
    int channels;                       /* C1; level i has C1 * 2^i */
    int depths[LEVELS], groups[LEVELS];
    double mlp_ratio;
    int kernel_size;                    /* of the deformable window */
    int dw_kernel_size;                 /* of the offset branch; 0: same as kernel_size */
    double offset_scale;
    bool layer_scale, post_norm, res_post_norm, center_feature_scale, remove_center;
    int post_norm_ids[MAX_POST_NORMS], post_norms;  /* level2_post_norm: blocks of level 2 */
    bool clip_projector;                /* H and G: attention pooling over two levels */
    int clip_dim, clip_heads, clip_out;
    int num_classes;
    /* Ablations; zero is InternImage. */
    enum modulation modulation;
    bool fixed_offsets;                 /* no offset branch: the regular window is sampled */
    bool unshared;                      /* output_proj has a weight per sampling point */
    int image_size;                     /* side of the images it was trained on; 0: not told */
    /* How the graph is going to be used, not part of the architecture. */
    bool training;                      /* batch statistics instead of the stored ones */
    double drop_path;                   /* rate of the last block; rises linearly from 0 */
};

/* A published variant ("t" "s" "b" "l" "xl" "h" "g", also "internimage_t") or one
 * of ours ("pico"). */
bool internimage_named(const char *name, struct internimage_config *c, struct error *e);
bool internimage_check(const struct internimage_config *c, struct error *e);

/* Image [N, 3, H, W] (node "input") to logits [N, classes] (last node, "head").
 * NULL with *e filled when the configuration or size is impossible. */
struct graph *internimage_graph(const struct internimage_config *c, int batch, int height,
                                int width, struct error *e);

/* One DCNv3 layer alone, named "dcn.<...>"; of the configuration only what is the layer's
 * counts. NULL with g->error filled when it is impossible. */
struct node *dcnv3_module(struct graph *g, struct node *x, const struct internimage_config *c,
                          int channels, int groups);

/* --- stacking and scaling rules (paper, section 3.2) ------------------------ */

/* AABA: C_i = 2^(i-1) C1, G_i = C_i / C', L1 = L2 = L4, L1 <= L3. Fills channels,
 * groups and depths; false when C1 is not a multiple of C' or L1 > L3. */
bool internimage_stack(struct internimage_config *c, int channels, int group_channels, int depth1,
                       int depth3, struct error *e);

/* Compound scaling by phi from an origin: depth alpha^phi D, width beta^phi C1 with
 * D = 3 L1 + L3, rounded to what the stacking rule allows. */
struct scaled {
    double depth, channels;             /* before rounding */
    int rounded_depth, rounded_channels;    /* channels to a multiple of C' */
};
struct scaled internimage_scale(int depth, int channels, int group_channels, double alpha,
                                double beta, double phi);

#endif
