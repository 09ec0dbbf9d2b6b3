/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Configurations as text. Single quotes stand for double ones, so that documents can be read in C.
 */

#include "config/config.h"

/* What a spec cannot do without. */
#define CONFIG_SPEC                                                                          \
        "'name':'linux','labels':['self-hosted','Linux','x64'],'instance_type':'m7i.large'," \
        "'launch_template':'runner','subnets':['subnet-1']"
#define CONFIG_GITHUB "'github':{'repositories':['octo-org/*','friends/one']}"
/* A configuration with SPECS: objects, separated by commas. */
#define CONFIG_OF(specs) "{" CONFIG_GITHUB ",'specs':[" specs "]}"

/* TEXT with double quotes; the caller frees. */
char *config_text(const char *text);

/* Reads TEXT, which must be without faults; the caller frees. */
struct config *config_of(const char *text);
