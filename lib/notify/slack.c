/* SPDX-License-Identifier: MIT */

/*
 * Slack: blocks to an incoming webhook.
 * https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
 * https://docs.slack.dev/reference/block-kit/blocks/section-block
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "channel.h"
#include "notify/notification.h"
#include "text.h"

/* A section takes 3,000 characters of text, or ten fields. */
#define SECTION_TEXT_MAX 2900
#define SECTION_FIELDS_MAX 10

/* https://docs.slack.dev/messaging/formatting-message-text#escaping */
static const struct notify_escape escapes[] = {{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {0}};

static const char *const emoji[] = {
        [NOTIFICATION_INFO] = ":information_source:",
        [NOTIFICATION_WARNING] = ":warning:",
        [NOTIFICATION_ERROR] = ":rotating_light:",
};

/* Verbatim: Slack makes no links of URLs, and no mentions of names, that a text has in plain.
 * https://docs.slack.dev/reference/block-kit/composition-objects/text-object */
static void add_mrkdwn(cJSON *object, const char *text)
{
        json_add_string(object, "type", "mrkdwn");
        json_add_string(object, "text", text);
        json_add_boolean(object, "verbatim", true);
}

static cJSON *add_section(cJSON *blocks)
{
        cJSON *section = cJSON_CreateObject();

        json_add_string(section, "type", "section");
        cJSON_AddItemToArray(blocks, section);
        return section;
}

static void add_text_section(cJSON *blocks, const char *text)
{
        add_mrkdwn(json_add_object(add_section(blocks), "text"), text);
}

static cJSON *fact_field(const struct notification_fact *fact)
{
        _cleanup_free_ char *name = notify_text(fact->name, NOTIFY_NAME_MAX, escapes);
        _cleanup_free_ char *value = notify_text(fact->value, NOTIFY_VALUE_MAX, escapes);
        _cleanup_free_ char *link = NULL;
        _cleanup_free_ char *text = NULL;
        cJSON *field = cJSON_CreateObject();

        if (notify_is_fact_link(fact->url)) {
                _cleanup_free_ char *url =
                        notify_text(fact->url, (size_t)5 * NOTIFY_FACT_URL_MAX, escapes);

                link = mem_format("\n<%s|Open the job>", url);
        }
        text = mem_format("*%s*\n%s%s", name, value, link ? link : "");
        add_mrkdwn(field, text);
        return field;
}

static void add_facts(cJSON *blocks, const struct notification *notification)
{
        cJSON *fields = NULL;

        for (size_t i = 0; i < notification->n_facts; i++) {
                if (i % SECTION_FIELDS_MAX == 0)
                        fields = cJSON_AddArrayToObject(add_section(blocks), "fields");
                cJSON_AddItemToArray(fields, fact_field(&notification->facts[i]));
        }
}

static void add_link(cJSON *blocks, const char *url)
{
        _cleanup_free_ char *escaped = NULL;
        _cleanup_free_ char *text = NULL;

        if (!notify_is_link(url))
                return;
        escaped = notify_text(url, (size_t)5 * NOTIFY_URL_MAX, escapes);
        text = mem_format("<%s|Open the job>", escaped);
        if (strlen(text) <= SECTION_TEXT_MAX)
                add_text_section(blocks, text);
}

struct http_call *slack_call(const char *url, const struct notification *notification)
{
        _cleanup_json_ cJSON *message = cJSON_CreateObject();
        _cleanup_free_ char *title = notify_text(notification->title, NOTIFY_TITLE_MAX, escapes);
        _cleanup_free_ char *text = notify_text(notification->text, SECTION_TEXT_MAX, escapes);
        _cleanup_free_ char *heading = mem_format("%s *%s*", emoji[notification->severity], title);
        cJSON *blocks;

        /* Shown where blocks are not: in a phone's notification, and to screen readers. */
        json_add_string(message, "text", title);
        blocks = cJSON_AddArrayToObject(message, "blocks");
        add_text_section(blocks, heading);
        if (*text)
                add_text_section(blocks, text);
        add_facts(blocks, notification);
        add_link(blocks, notification->url);
        return channel_call("Slack", url, message);
}

int slack_answer(const struct http_call *call, struct err *err)
{
        return channel_answer(call, "SLACK_WEBHOOK_URLS", err);
}
