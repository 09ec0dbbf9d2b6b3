/* SPDX-License-Identifier: MIT */

/*
 * GitHub's webhooks: signed, doubled, reordered and late, and now and then sent again by a person,
 * although they arrived well. What nobody took is delivered again only when the scaler asks for it.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "world.h"

/* One attempt to deliver an event. */
struct attempt {
        char *body;
        char guid[32];
        char action[16];
        int64_t id;
        int64_t status;      /* 0: no answer */
        int64_t answered_ms; /* 0: under way */
        bool is_again;
};

static void on_delivered(struct world *world, void *userdata, const char *answer)
{
        struct attempt *attempt = userdata;
        _cleanup_json_ cJSON *json = NULL;

        if (answer && json_parse(answer, strlen(answer), "", &json, NULL) == 0)
                attempt->status = json_integer(json, "statusCode", 0);
        attempt->answered_ms = world->now_ms;
        if (attempt->status / 100 != 2)
                world_tell(world, "delivery %s: status %" PRId64, attempt->guid, attempt->status);
}

static char *sign(const char *secret, const char *body)
{
        unsigned char digest[EVP_MAX_MD_SIZE];
        unsigned size = 0;
        struct buf text = BUF_INIT(128);

        HMAC(EVP_sha256(), secret, (int)strlen(secret), (const unsigned char *)body, strlen(body),
                digest, &size);
        buf_add_string(&text, "sha256=");
        for (unsigned i = 0; i < size; i++)
                buf_add_format(&text, "%02x", digest[i]);
        return buf_steal(&text);
}

/* In every other world with such faults, until a person mends it, the secret on GitHub is another
 * one. */
static const char *secret_of(struct world *world)
{
        return world->outages[FAULT_DELIVERY].from_ms % 2 == 1 &&
                               fault_is_down(world, FAULT_DELIVERY)
                       ? "another-secret"
                       : HOOK_SECRET;
}

static void send_attempt(struct world *world, void *userdata)
{
        struct attempt *attempt = userdata;
        _cleanup_json_ cJSON *event = cJSON_CreateObject();
        cJSON *headers = json_add_object(event, "headers");
        _cleanup_free_ char *signature = sign(secret_of(world), attempt->body);
        _cleanup_free_ char *text = NULL;

        json_add_string(headers, "x-github-event", "workflow_job");
        json_add_string(headers, "x-github-delivery", attempt->guid);
        json_add_string(headers, "x-hub-signature-256", signature);
        json_add_string(headers, "content-type", "application/json");
        json_add_string(json_add_object(json_add_object(event, "requestContext"), "http"), "method",
                "POST");
        json_add_string(event, "body", attempt->body);
        text = json_print(event);
        lambda_invoke(world, "webhook", text, on_delivered, attempt);
}

static struct attempt *new_attempt(struct world *world, const char *body, const char *action)
{
        struct attempt *attempt = mem_alloc(sizeof(*attempt));

        attempt->body = mem_string(body);
        attempt->id = world->next_id++;
        snprintf(attempt->action, sizeof(attempt->action), "%s", action);
        world->attempts =
                mem_resize(world->attempts, world->n_attempts + 1, sizeof(*world->attempts));
        world->attempts[world->n_attempts++] = attempt;
        return attempt;
}

/* -- what GitHub knows of them -- */

void deliveries_list(const struct world *world, struct answer *answer)
{
        cJSON *list = cJSON_CreateArray();
        int64_t start = world_wall_ms(world) - world->now_ms;
        char time[CLOCK_TEXT_SIZE];

        for (size_t i = world->n_attempts; i > 0 && cJSON_GetArraySize(list) < 100; i--) {
                const struct attempt *attempt = world->attempts[i - 1];
                cJSON *item;

                if (attempt->answered_ms == 0)
                        continue;
                item = cJSON_CreateObject();
                cJSON_AddItemToArray(list, item);
                json_add_integer(item, "id", attempt->id);
                json_add_string(item, "guid", attempt->guid);
                json_add_string(item, "event", "workflow_job");
                json_add_string(item, "action", attempt->action);
                json_add_integer(item, "status_code", attempt->status);
                json_add_boolean(item, "redelivery", attempt->is_again);
                json_add_string(
                        item, "delivered_at", clock_format(start + attempt->answered_ms, time));
        }
        answer_json(answer, 200, list);
}

bool deliveries_again(struct world *world, int64_t id)
{
        for (size_t i = 0; i < world->n_attempts; i++) {
                const struct attempt *attempt = world->attempts[i];
                struct attempt *again;

                if (attempt->id != id)
                        continue;
                again = new_attempt(world, attempt->body, attempt->action);
                memcpy(again->guid, attempt->guid, sizeof(again->guid));
                again->is_again = true;
                world_tell(world, "delivery %s is made again", again->guid);
                world_after(world, world_between(world, 300, 3000), send_attempt, again);
                return true;
        }
        return false;
}

void deliveries_release(struct world *world)
{
        for (size_t i = 0; i < world->n_attempts; i++) {
                free(world->attempts[i]->body);
                free(world->attempts[i]);
        }
        free(world->attempts);
}

/* -- sending -- */

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
        char name[64];
        cJSON *repository;

        json_add_string(json, "action", action);
        cJSON_AddItemToObject(json, "workflow_job", job_json(job));
        repository = json_add_object(json, "repository");
        snprintf(name, sizeof(name), "octo-org/%s", job->repository);
        json_add_string(repository, "full_name", name);
        cJSON_AddBoolToObject(repository, "private", true);
        json_add_integer(json_add_object(json, "installation"), "id", INSTALLATION);
        body = json_print(json);
        cJSON_Delete(json);
        for (unsigned i = 0; i < copies + again; i++) {
                struct attempt *attempt = new_attempt(world, body, action);

                snprintf(attempt->guid, sizeof(attempt->guid), "d-%" PRId64 "-%.3s%u", job->id,
                        action, i);
                world_after(world,
                        i < copies ? delivery_delay(world) : world_between(world, MINUTE, HOUR),
                        send_attempt, attempt);
        }
}
