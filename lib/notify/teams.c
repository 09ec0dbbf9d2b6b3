/* SPDX-License-Identifier: MIT */

/*
 * Microsoft Teams: an Adaptive Card to a webhook of the Workflows app ("Post to a channel when a
 * webhook request is received").
 * https://learn.microsoft.com/en-us/microsoftteams/platform/task-modules-and-cards/cards/cards-reference
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "channel.h"
#include "notify/notification.h"
#include "text.h"

#define TEAMS_SIZE_MAX (28 * 1024)

#define FACT_SIZE_MAX (2 * (NOTIFY_NAME_MAX + NOTIFY_VALUE_MAX) + NOTIFY_FACT_URL_MAX + 64)
_Static_assert(2 * (NOTIFY_TITLE_MAX + NOTIFY_TEXT_MAX) + NOTIFY_URL_MAX +
                               NOTIFICATION_FACTS_MAX * FACT_SIZE_MAX + 1024 <=
                       TEAMS_SIZE_MAX,
        "the largest card must fit");

/* Cards read some Markdown, also in the values of facts, and show no single line break. */
static const struct notify_escape escapes[] = {{'\\', "\\\\"}, {'*', "\\*"}, {'_', "\\_"},
        {'[', "\\["}, {']', "\\]"}, {'\n', "\n\n"}, {0}};

static const char *const colors[] = {
        [NOTIFICATION_INFO] = "accent",
        [NOTIFICATION_WARNING] = "warning",
        [NOTIFICATION_ERROR] = "attention",
};

static void add_escaped(cJSON *object, const char *name, const char *text, size_t limit)
{
        _cleanup_free_ char *escaped = notify_text(text, limit, escapes);

        json_add_string(object, name, escaped);
}

/* A fact takes no button, but Markdown in its value. */
static void add_fact(cJSON *facts, const struct notification_fact *fact)
{
        _cleanup_free_ char *value = notify_text(fact->value, NOTIFY_VALUE_MAX, escapes);
        cJSON *object = cJSON_CreateObject();

        add_escaped(object, "title", fact->name, NOTIFY_NAME_MAX);
        if (notify_is_fact_link(fact->url)) {
                _cleanup_free_ char *linked = mem_format("%s [Open the job](%s)", value, fact->url);

                json_add_string(object, "value", linked);
        } else {
                json_add_string(object, "value", value);
        }
        cJSON_AddItemToArray(facts, object);
}

static cJSON *add_element(cJSON *list, const char *type)
{
        cJSON *element = cJSON_CreateObject();

        json_add_string(element, "type", type);
        cJSON_AddItemToArray(list, element);
        return element;
}

static void add_body(cJSON *body, const struct notification *notification)
{
        cJSON *element = add_element(body, "TextBlock");
        cJSON *facts;

        add_escaped(element, "text", notification->title, NOTIFY_TITLE_MAX);
        json_add_boolean(element, "wrap", true);
        json_add_string(element, "weight", "Bolder");
        json_add_string(element, "size", "Medium");
        json_add_string(element, "color", colors[notification->severity]);
        if (notification->text && *notification->text) {
                element = add_element(body, "TextBlock");
                add_escaped(element, "text", notification->text, NOTIFY_TEXT_MAX);
                json_add_boolean(element, "wrap", true);
        }
        if (notification->n_facts == 0)
                return;
        facts = cJSON_AddArrayToObject(add_element(body, "FactSet"), "facts");
        for (size_t i = 0; i < notification->n_facts; i++)
                add_fact(facts, &notification->facts[i]);
}

static void add_card(cJSON *attachment, const struct notification *notification)
{
        cJSON *card;

        json_add_string(attachment, "contentType", "application/vnd.microsoft.card.adaptive");
        cJSON_AddNullToObject(attachment, "contentUrl");
        card = json_add_object(attachment, "content");
        json_add_string(card, "$schema", "http://adaptivecards.io/schemas/adaptive-card.json");
        json_add_string(card, "type", "AdaptiveCard");
        json_add_string(card, "version", "1.2");
        add_body(cJSON_AddArrayToObject(card, "body"), notification);
        if (notify_is_link(notification->url)) {
                cJSON *action =
                        add_element(cJSON_AddArrayToObject(card, "actions"), "Action.OpenUrl");

                json_add_string(action, "title", "Open the job");
                json_add_string(action, "url", notification->url);
        }
}

struct http_call *teams_call(const char *url, const struct notification *notification)
{
        _cleanup_json_ cJSON *message = cJSON_CreateObject();
        cJSON *attachment = cJSON_CreateObject();

        json_add_string(message, "type", "message");
        cJSON_AddItemToArray(cJSON_AddArrayToObject(message, "attachments"), attachment);
        add_card(attachment, notification);
        return channel_call("Teams", url, message);
}

int teams_answer(const struct http_call *call, struct err *err)
{
        return channel_answer(call, "TEAMS_WEBHOOK_URLS", err);
}
