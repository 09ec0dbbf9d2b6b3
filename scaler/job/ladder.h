/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The failover ladder: which instance types to try, in order, when the configured one has no
 * capacity.
 *
 *      Intel     m7i.large, its AMD sibling m7a.large, the next larger Intel m7i.xlarge, its
 *                sibling m7a.xlarge, and so on to the largest Intel
 *      AMD       the same the other way round: m7a.large, m7i.large, m7a.xlarge, m7i.xlarge, ...
 *      flex      m7i-flex.large, m7a.large, and then as from m7i.large
 *      Graviton, and x86 families without a sibling: their own larger sizes
 *
 * A size that the sibling lacks is skipped (c5.9xlarge has no c5a.9xlarge). Bare metal is
 * never a substitute. A type that the table of families lacks is a ladder of one rung.
 */

#include <stddef.h>

#include "aws/instance_type.h"

struct ladder_rung {
        char type[INSTANCE_TYPE_SIZE];
};

/* No ladder is longer. */
#define LADDER_MAX 32

/* Writes up to MAX rungs, TYPE itself first, and returns how many. */
size_t ladder_build(const char *type, struct ladder_rung *rungs, size_t max);
