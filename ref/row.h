/* What an op file includes: its number type, the table's types, the checks. */
#ifndef REF_ROW_H
#define REF_ROW_H

#include "real.h"
#include "graph.h"
#include "op.h"
#include "ops.h"
#include "check.h"

#endif
