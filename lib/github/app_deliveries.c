/* SPDX-License-Identifier: MIT */

/*
 * The deliveries of the App's webhook: lists them, and asks for one again.
 * https://docs.github.com/en/rest/apps/webhooks
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app_call.h"
#include "base/clock.h"
#include "base/mem.h"
#include "call.h"
#include "github/app.h"

int github_list_deliveries(
        struct github *github, const char *page, struct http_call **ret_call, struct err *err)
{
        int r = github_app_call(github, "list deliveries", "GET",
                "/app/hook/deliveries?per_page=100", ret_call, err);

        if (r == 0 && page) {
                buf_add_string(&(*ret_call)->url, "&cursor=");
                buf_add_form(&(*ret_call)->url, page);
        }
        return r;
}

/* The cursor of the link to the next page:
 *      link: <https://api.github.com/app/hook/deliveries?per_page=100&cursor=v1_123>; rel="next" */
static void read_next_page(const struct http_call *call, char *page, size_t size)
{
        char links[1024];
        const char *end;
        const char *cursor = NULL;

        page[0] = '\0';
        if (!http_call_answer_header(call, "Link", links, sizeof(links)))
                return;
        end = strstr(links, "rel=\"next\"");
        for (const char *at = links; end && (at = strstr(at, "cursor=")) && at < end; at++)
                cursor = at + strlen("cursor=");
        if (cursor)
                snprintf(page, size, "%.*s", (int)strcspn(cursor, "&>"), cursor);
}

static void read_delivery(const cJSON *object, void *item)
{
        struct github_delivery *delivery = item;

        delivery->id = json_integer(object, "id", 0);
        github_copy(delivery->guid, sizeof(delivery->guid), object, "guid");
        github_copy(delivery->event, sizeof(delivery->event), object, "event");
        github_copy(delivery->action, sizeof(delivery->action), object, "action");
        github_copy(delivery->status, sizeof(delivery->status), object, "status");
        delivery->status_code = (int)json_integer(object, "status_code", 0);
        if (clock_parse(json_string(object, "delivered_at"), &delivery->at_ms) < 0)
                delivery->at_ms = 0;
}

int github_list_deliveries_answer(
        const struct http_call *call, struct github_deliveries *ret, struct err *err)
{
        int r = github_app_list_answer(
                call, sizeof(*ret->items), read_delivery, (void **)&ret->items, &ret->count, err);

        if (r == 0)
                read_next_page(call, ret->next_page, sizeof(ret->next_page));
        return r;
}

void github_deliveries_release(struct github_deliveries *deliveries)
{
        free(deliveries->items);
        *deliveries = (struct github_deliveries){0};
}

int github_redeliver(
        struct github *github, int64_t id, struct http_call **ret_call, struct err *err)
{
        _cleanup_free_ char *path = mem_format("/app/hook/deliveries/%" PRId64 "/attempts", id);

        return github_app_call(github, "redeliver", "POST", path, ret_call, err);
}

int github_redeliver_answer(const struct http_call *call, struct err *err)
{
        return github_app_done(call, err);
}
