/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * First stage: who this machine is, and the keys with which it calls AWS.
 *
 * In: nothing but the metadata service of EC2. Out: agent->identity, agent->metadata_token and the
 * credentials of agent_aws(), which are kept fresh from then on.
 */

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "aws/aws.h"
#include "base/err.h"
#include "http/http.h"

struct agent;

/* How a stage tells that it has ended: 0, or negative with the reason. */
typedef void (*agent_done)(struct agent *agent, int result, const struct err *err);

struct identify {
        agent_done done; /* NULL once it was told */
        struct http_call *token;
        struct http_call *identity;
        struct http_call *role;
        struct http_call *credentials;
        sd_event_source *timer; /* the next try, or the next refresh */
        struct aws_credentials found;
        bool has_credentials;
        bool has_network_changed; /* while it was asking */
        int64_t deadline_ms;
        unsigned failures;
        struct err err; /* of the latest failure */
};

/* Tries until the settings' limit, since the network may come up late. When it fails,
 * agent->is_identified says whether this is an EC2 instance at all. */
void identify_start(struct agent *agent, agent_done done);

/* Asks for new credentials now: those we have were refused. Does nothing when it does so already.
 */
void identify_refresh(struct agent *agent);

void identify_release(struct agent *agent);
