/* SPDX-License-Identifier: MIT */

/*
 * Lists the offers of a spec, and remembers those without capacity.
 */

#include "offer.h"

#include <stdio.h>
#include <string.h>

#define EMPTY_KEPT_MS (2 * 60 * MSEC_PER_SEC)
#define NAME_SIZE 96

void offers_init(struct offers *offers, const struct config_spec *spec, const char *type)
{
        offers->spec = spec;
        offers->n_rungs = ladder_build(type, offers->rungs, LADDER_MAX);
}

size_t offers_on_demand(const struct offers *offers)
{
        return offers->n_rungs * offers->spec->n_subnets;
}

size_t offers_count(const struct offers *offers)
{
        return offers_on_demand(offers) * (offers->spec->on_demand_fallback ? 2 : 1);
}

struct offer offer_at(const struct offers *offers, size_t index)
{
        size_t within = index % offers_on_demand(offers);

        return (struct offer){
                .type = offers->rungs[within / offers->spec->n_subnets].type,
                .subnet = offers->spec->subnets[within % offers->spec->n_subnets],
                .spot = index < offers_on_demand(offers),
        };
}

size_t offers_begin(const struct offers *offers, int64_t attempt, size_t index)
{
        size_t first = offers_on_demand(offers);

        if (attempt > 1 && index < first && config_spec_reruns_on_demand(offers->spec))
                return first;
        if (config_spec_uses_fleet(offers->spec))
                return index < first || !offers->spec->on_demand_fallback ? 0 : first;
        return index;
}

size_t offers_after_type(const struct offers *offers, size_t index)
{
        const char *type = offer_at(offers, index).type;

        while (index < offers_count(offers) && strcmp(offer_at(offers, index).type, type) == 0)
                index++;
        return index;
}

static const char *name_offer(const struct offer *offer, char name[static NAME_SIZE])
{
        snprintf(name, NAME_SIZE, "%s %s %s", offer->type, offer->subnet,
                offer->spot ? "spot" : "on-demand");
        return name;
}

void offer_note_empty(struct scaler *scaler, const struct offer *offer)
{
        char name[NAME_SIZE];

        recent_note(&scaler->empty_offers, name_offer(offer, name),
                clock_monotonic_ms(scaler->clock) + EMPTY_KEPT_MS);
}

void offer_note_no_subnet(struct scaler *scaler, const struct offer *offer)
{
        recent_note(&scaler->empty_offers, offer->subnet,
                clock_monotonic_ms(scaler->clock) + EMPTY_KEPT_MS);
}

size_t offers_skip_empty(const struct offers *offers, const struct scaler *scaler, size_t index)
{
        int64_t now_ms = clock_monotonic_ms(scaler->clock);
        char name[NAME_SIZE];

        for (; index < offers_count(offers); index++) {
                struct offer offer = offer_at(offers, index);

                if (!recent_has(&scaler->empty_offers, name_offer(&offer, name), now_ms) &&
                        !recent_has(&scaler->empty_offers, offer.subnet, now_ms))
                        break;
        }
        return index;
}
