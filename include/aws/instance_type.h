/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * EC2 instance types, "FAMILY.SIZE", and what this project has to know about their families: the
 * architecture, the sizes from small to large, and who stands in for whom when there is no
 * capacity. The table serves the configuration's checks and the ladder (scaler/job/ladder.h). Sizes
 * are those of EC2's service model, shape InstanceType, without bare metal.
 */

#include <stdbool.h>
#include <stddef.h>

/* "u7inh-32tb.480xlarge" and its NUL: no type is longer */
#define INSTANCE_TYPE_SIZE 32

enum instance_architecture {
        INSTANCE_X86,
        INSTANCE_ARM64,
};

struct instance_family {
        const char *name;    /* "m7i" */
        const char *sizes;   /* "large xlarge 2xlarge": in order, a blank between them */
        const char *sibling; /* family of the same kind with processors of the other x86 maker, or
                                NULL */
        const char *climbs;  /* the family whose larger sizes come next; NULL: its own */
        enum instance_architecture architecture;
};

/* Whether TYPE has the form of an instance type: "m7i.large", "u-12tb1.metal". It need not be in
 * the table, since EC2 adds types each month. */
bool instance_type_is_plausible(const char *type);

/* The family of TYPE (which may be a family's name alone), or NULL if the table has none. */
const struct instance_family *instance_family_find(const char *type);

/* All families, ended by one without a name. */
extern const struct instance_family instance_families[];

/* Finds the size that the first LENGTH bytes of SIZE name in FAMILY's sizes, and points there; NULL
 * if the family has no such size. */
const char *instance_size_find(
        const struct instance_family *family, const char *size, size_t length);

/* "arm64" or "x86". */
const char *instance_architecture_name(enum instance_architecture architecture);
