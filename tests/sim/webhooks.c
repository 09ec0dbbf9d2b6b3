/* SPDX-License-Identifier: MIT */

/*
 * GitHub's webhooks: signed, doubled, reordered and late. What nobody took is delivered again by a
 * person, and now and then what arrived well.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "world.h"

struct delivery_sent {
        char *body;
        char id[32];
        unsigned tries;
};

static void send_delivery(struct world *world, void *userdata);

/* A delivery that nobody took is delivered again by a person. */
static void on_delivered(struct world *world, void *userdata, const char *answer)
{
        struct delivery_sent *delivery = userdata;
        _cleanup_json_ cJSON *json = NULL;
        int64_t status = 0;

        if (answer && json_parse(answer, strlen(answer), "", &json, NULL) == 0)
                status = json_integer(json, "statusCode", 0);
        if (status >= 200 && status < 300) {
                free(delivery->body);
                free(delivery);
                return;
        }
        world_tell(world, "delivery %s: status %" PRId64 ", a person will deliver it again",
                delivery->id, status);
        world_after(world, world_between(world, 2 * MINUTE, 40 * MINUTE), send_delivery, delivery);
}

static char *sign(const char *body)
{
        unsigned char digest[EVP_MAX_MD_SIZE];
        unsigned size = 0;
        struct buf text = BUF_INIT(128);

        HMAC(EVP_sha256(), HOOK_SECRET, (int)strlen(HOOK_SECRET), (const unsigned char *)body,
                strlen(body), digest, &size);
        buf_add_string(&text, "sha256=");
        for (unsigned i = 0; i < size; i++)
                buf_add_format(&text, "%02x", digest[i]);
        return buf_steal(&text);
}

static void send_delivery(struct world *world, void *userdata)
{
        struct delivery_sent *delivery = userdata;
        _cleanup_json_ cJSON *event = cJSON_CreateObject();
        cJSON *headers = json_add_object(event, "headers");
        _cleanup_free_ char *signature = sign(delivery->body);
        _cleanup_free_ char *text = NULL;

        delivery->tries++;
        json_add_string(headers, "x-github-event", "workflow_job");
        json_add_string(headers, "x-github-delivery", delivery->id);
        json_add_string(headers, "x-hub-signature-256", signature);
        json_add_string(headers, "content-type", "application/json");
        json_add_string(json_add_object(json_add_object(event, "requestContext"), "http"), "method",
                "POST");
        json_add_string(event, "body", delivery->body);
        text = json_print(event);
        lambda_invoke(world, "webhook", text, on_delivered, delivery);
}

static int64_t delivery_delay(struct world *world)
{
        if (fault_strikes(world, FAULT_DELIVERY, 6))
                return world_between(world, MINUTE, HOUR); /* late, or lost and sent by a person */
        if (fault_strikes(world, FAULT_DELIVERY, 15))
                return world_between(world, 0, MINUTE);
        return world_between(world, 300, 3000);
}

void job_tell_webhook(struct world *world, const struct sim_job *job, const char *action)
{
        cJSON *json = cJSON_CreateObject();
        unsigned copies = 1 + fault_strikes(world, FAULT_DELIVERY, 10);
        unsigned again = fault_strikes(world, FAULT_REDELIVER, 20);
        _cleanup_free_ char *body = NULL;

        json_add_string(json, "action", action);
        cJSON_AddItemToObject(json, "workflow_job", job_json(job));
        json_add_string(json_add_object(json, "repository"), "full_name", REPOSITORY);
        json_add_integer(json_add_object(json, "installation"), "id", INSTALLATION);
        body = json_print(json);
        cJSON_Delete(json);
        for (unsigned i = 0; i < copies + again; i++) {
                struct delivery_sent *delivery = mem_alloc(sizeof(*delivery));

                delivery->body = mem_string(body);
                snprintf(delivery->id, sizeof(delivery->id), "d-%" PRId64 "-%.3s%u", job->id,
                        action, i);
                world_after(world,
                        i < copies ? delivery_delay(world) : world_between(world, MINUTE, HOUR),
                        send_delivery, delivery);
        }
}
