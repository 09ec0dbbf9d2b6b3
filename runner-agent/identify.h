/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * First stage: which instance this machine is, and the credentials with which it calls AWS.
 *
 * In: EC2's metadata service (IMDSv2), nothing else. Out: agent->identity, agent->metadata_token,
 * agent->bucket, which a tag of the instance names, and the credentials of agent_aws(), which are
 * kept fresh from then on. It ends when all are there, or at the limit in the settings.
 */

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "agent.h"
#include "network.h"

struct identify {
        struct agent *agent; /* set by the owner, as in all stages */
        agent_done done;     /* NULL once it was called */
        void *userdata;
        struct network network;
        struct http_call *token;
        struct http_call *identity;
        struct http_call *role;
        struct http_call *bucket;
        struct http_call *credentials;
        sd_event_source *timer; /* the next try, or the next refresh */
        struct aws_credentials found;
        bool has_credentials;
        bool has_bucket;          /* or knows that there is none */
        bool has_network_changed; /* during the present round of calls */
        int64_t deadline_ms;
        unsigned failures;
        struct err err; /* the latest failure */
};

/* Retries until the limit, since the network may come up late. When it fails,
 * agent->is_identified tells whether this is an EC2 instance at all. */
void identify_start(struct identify *identify, agent_done done, void *userdata);

/* Fetches a new token and new credentials now, because the present ones were refused; does nothing
 * while that is under way. */
void identify_refresh(struct identify *identify);

void identify_release(struct identify *identify);
