/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Private to scaler/config: the description of a configuration document. config_fields.c and
 * config_spec_fields.c have the tables; config_value.c and config_read.c read and check a document
 * by them, config_schema.c prints them as a JSON Schema; config_parse.c adds what concerns several
 * fields.
 */

#include <cjson/cJSON.h>

#include "config.h"
#include "config_formats.h"

enum config_kind {
        CONFIG_TEXT,           /* char * */
        CONFIG_TEXT_OR_NUMBER, /* char *: written as a string, or as a whole number */
        CONFIG_NUMBER,         /* int64_t: a whole one */
        CONFIG_BOOLEAN,        /* bool */
        CONFIG_TEXTS,          /* char **, and its size_t count */
        CONFIG_NUMBERS,        /* int64_t *, and its count */
        CONFIG_TAGS,           /* struct config_tag *, and its count */
        CONFIG_OBJECT,         /* members of the same struct, described by a table of their own */
        CONFIG_OBJECTS, /* array of structs described by a table of their own, and its count */
        CONFIG_IGNORED, /* a string that is for others */
};

struct config_field {
        const char *name;
        const char *description; /* sentences for people, in the schema */
        enum config_kind kind;
        bool required;
        bool ignore_case;    /* lists: two that differ in case only are the same */
        const char *allowed; /* for faults: what one value must be: "a name (…)" */
        const char *item;    /* lists: what one of them is called: "repository" */
        const char *items;   /* and several */
        int64_t min;         /* numbers: the value; texts: characters; also of each in a list */
        int64_t max;
        size_t count_min; /* lists: how many */
        size_t count_max;
        const struct config_format *format;     /* texts; NULL: any characters */
        const struct config_format *key_format; /* tags */
        int64_t key_max;                        /* tags: characters of a key */
        const char *allowed_key;                /* tags: for faults */
        /* Any value but the default needs one of these members, too: see config_parse.c. */
        const char *needs[2];
        const char *default_text;
        int64_t default_number;
        size_t offset; /* in the struct */
        size_t count_offset;
        const struct config_object *object; /* of CONFIG_OBJECT and CONFIG_OBJECTS */
};

struct config_object {
        const struct config_field *fields;
        size_t n_fields;
        size_t size; /* of the struct */
};

/* What follows the range of a limit, in `allowed`. */
#define CONFIG_LIMIT_ALLOWED " (none: leave it out)"

/* The whole document: struct config. */
extern const struct config_object config_document;
/* One spec of the document: struct config_spec. */
extern const struct config_object config_spec_object;

/* Where a value is in the document: a chain on the stack, which only a fault turns into text. */
struct config_place {
        const struct config_place *parent; /* NULL: the document itself */
        const char *name;                  /* member NAME, or NULL: element INDEX */
        size_t index;
};

/* Adds a fault at PLACE, unless there are CONFIG_FAULTS_MAX already. */
void config_fault_add(struct config_faults *faults, const struct config_place *place,
        const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Adds the fault "ALLOWED is needed, found …" at PLACE, with a description of VALUE (may be
 * NULL). */
void config_fault_add_needed(struct config_faults *faults, const struct config_place *place,
        const char *allowed, const cJSON *value);

/* The name of the field in OBJECT that somebody who wrote NAME may have meant, or NULL. */
const char *config_suggest(const struct config_object *object, const char *name);

/* Reads one value, or one element of a list, into SLOT, and adds what is wrong with it to FAULTS.
 * VALUE may be NULL: nothing was found. */
void config_read_value(const struct config_field *field, const cJSON *value, void *slot,
        const struct config_place *place, struct config_faults *faults);

/* Fills the struct at BASE, which is all zero, from VALUE, and adds what is wrong with it to
 * FAULTS. A member that is wrong stays zero. */
void config_read_object(const struct config_object *object, const cJSON *value, void *base,
        const struct config_place *place, struct config_faults *faults);

/* Adds a fault for each earlier spec with which specs[INDEX], which is at PLACE, would share jobs,
 * and for types of its own that would share them. */
void config_check_labels(const struct config *config, size_t index,
        const struct config_place *place, struct config_faults *faults);

/* Frees everything that the struct at BASE owns. */
void config_release_object(const struct config_object *object, void *base);
