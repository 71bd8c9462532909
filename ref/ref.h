/* Both precisions at once, for code outside the reference: ref32_* and ref64_*. */
#ifndef REF_REF_H
#define REF_REF_H

#include "graph.h"
#include "optimizer.h"
#include "shapes.h"

#define real float
#define REF(name) ref32_##name
#include "ops.h"
#include "op.h"
#include "run.h"
#include "training.h"
#undef real
#undef REF

#define real double
#define REF(name) ref64_##name
#include "ops.h"
#include "op.h"
#include "run.h"
#include "training.h"
#undef real
#undef REF

#endif
