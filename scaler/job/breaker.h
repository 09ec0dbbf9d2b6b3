/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Circuit breakers: each spec has two, kept in the parameter PREFIX/breakers/SPEC, which every
 * function reads at most once a minute.
 *
 *      stopped     machine after machine ended without a sign that its image works: nothing is
 *                  launched, but one machine every quarter of an hour, until one of them runs a job
 *      on demand   EC2 took machine after machine back: launches leave spot alone for half an hour,
 *                  where the spec allows that
 *
 * Both are opened by what EC2 says of its machines, never by what machines say of themselves. A
 * breaker that cannot be read stops nothing.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "aws/ec2.h"
#include "base/err.h"
#include "config/config.h"
#include "scaler.h"

#define BREAKER_PROBE_MS (15 * 60 * MSEC_PER_SEC)
#define BREAKER_ON_DEMAND_MS (30 * 60 * MSEC_PER_SEC)
/* This many bad machines in a row stop a spec. */
#define BREAKER_BAD_MACHINES 5
/* A machine that has lived for so long without a job or an end hangs. */
#define BREAKER_BOOT_LIMIT_MS (15 * 60 * MSEC_PER_SEC)
#define BREAKER_LOSSES_MAX 20

struct breaker {
        int64_t stopped_since_ms; /* 0: it is not */
        int64_t stopped_until_ms; /* when the next machine is tried */
        int64_t on_demand_until_ms;
        struct {
                char instance[EC2_ID_SIZE];
                int64_t at_ms;
        } losses[BREAKER_LOSSES_MAX]; /* machines that EC2 took back, the oldest first */
        size_t n_losses;
        int64_t version; /* of the parameter; 0: there is none */
};

/* The parameter's value; the caller frees. Pure, as the reader: a text that cannot be read is a
 * closed breaker. */
char *breaker_print(const struct breaker *breaker);
void breaker_parse(const char *text, struct breaker *ret);

/* The breaker of SPEC as it was up to a minute ago; AGAIN: as it is. Closed where it cannot be
 * read, which is logged. */
struct breaker breaker_read(struct scaler *scaler, const char *spec, bool again);
/* Stores BREAKER in place of the version that was read: 0; BREAKER_OVERTAKEN where another process
 * did so first (ours stands now, so it must have been much the same); or negative. */
#define BREAKER_OVERTAKEN 1
int breaker_store(
        struct scaler *scaler, const char *spec, const struct breaker *breaker, struct err *err);

enum breaker_verdict {
        BREAKER_GO,    /* launch */
        BREAKER_PROBE, /* launch one machine: its turn is taken */
        BREAKER_STOP,  /* launch nothing before *ret_until_ms */
};

/* Whether machines of SPEC may be launched now. */
enum breaker_verdict breaker_ask(struct scaler *scaler, const char *spec, int64_t *ret_until_ms);
bool breaker_is_on_demand(struct scaler *scaler, const struct config_spec *spec);

/* -- breaker_image.c -- */

/* A machine of SPEC ended, or passed the boot limit, without having run its job: stops the spec if
 * the newest machines all did. 0 or negative. */
int breaker_note_dead(
        struct scaler *scaler, struct aws *aws, const struct config_spec *spec, struct err *err);
/* A machine of SPEC, launched at LAUNCHED_MS, has run a job: its launches go on. 0 or negative. */
int breaker_note_work(
        struct scaler *scaler, const char *spec, int64_t launched_ms, struct err *err);

/* How many of MACHINES, counted from the newest on, are bad in a row. Pure. */
size_t breaker_count_bad(const struct ec2_instances *machines, int64_t now_ms);

/* -- breaker_spot.c -- */

/* EC2 takes INSTANCE of SPEC back. It may be told twice of one. 0 or negative. */
int breaker_note_loss(struct scaler *scaler, const struct config_spec *spec, const char *instance,
        struct err *err);
