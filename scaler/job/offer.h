/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Offers: an offer is an instance type, a subnet and a market, and one RunInstances asks for it.
 * They are tried in this order: each type of the ladder in each of the spec's subnets as spot, and
 * then, if the spec allows it, all of them again on demand.
 */

#include <stdbool.h>
#include <stddef.h>

#include "config/config.h"
#include "ladder.h"
#include "scaler.h"

struct offer {
        const char *type;
        const char *subnet;
        bool spot;
};

/* The offers of a spec, beginning with one type. They are numbered from 0 on. */
struct offers {
        const struct config_spec *spec; /* borrowed */
        struct ladder_rung rungs[LADDER_MAX];
        size_t n_rungs;
};

void offers_init(struct offers *offers, const struct config_spec *spec, const char *type);
size_t offers_count(const struct offers *offers);
/* Borrowed from OFFERS. */
struct offer offer_at(const struct offers *offers, size_t index);
/* The first one on demand. */
size_t offers_on_demand(const struct offers *offers);
/* Where a launch for a job in its ATTEMPT begins that would begin at INDEX: on demand, where the
 * spec wants that of attempts after the first. A fleet asks for a whole market. */
size_t offers_begin(const struct offers *offers, int64_t attempt, size_t index);
/* The next one of another type. */
size_t offers_after_type(const struct offers *offers, size_t index);

/* An offer without capacity is skipped for two minutes: a burst of jobs does not repeat the request
 * that EC2 has just refused. */
void offer_note_empty(struct scaler *scaler, const struct offer *offer);
/* Skips all offers in OFFER's subnet for two minutes: it does not exist. */
void offer_note_no_subnet(struct scaler *scaler, const struct offer *offer);
/* The first one from INDEX on that is not known to be empty. */
size_t offers_skip_empty(const struct offers *offers, const struct scaler *scaler, size_t index);
