/* SPDX-License-Identifier: MIT */

/*
 * Notifications on their way to people: as messages of the notify queue, to which any part of the
 * scaler sends, and the table of channels, to which the handler `notify` delivers them.
 */

#include "notify/notification.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "text.h"

const struct notify_channel notify_channels[] = {
        {"teams", "Teams", "TEAMS_WEBHOOK_URLS", "notify/teams-webhook-urls", teams_call,
                teams_answer},
        {"slack", "Slack", "SLACK_WEBHOOK_URLS", "notify/slack-webhook-urls", slack_call,
                slack_answer},
        {0},
};
_Static_assert(ARRAY_SIZE(notify_channels) - 1 <= NOTIFY_CHANNELS_MAX, "raise it");

static const char *const severity_names[] = {
        [NOTIFICATION_INFO] = "info",
        [NOTIFICATION_WARNING] = "warning",
        [NOTIFICATION_ERROR] = "error",
};

void notification_fact(struct notification *notification, const char *name, const char *value)
{
        if (!value || !*value || notification->n_facts == NOTIFICATION_FACTS_MAX)
                return;
        notification->facts[notification->n_facts++] =
                (struct notification_fact){.name = name, .value = value};
}

/* -- as a queue message -- */

static void add_text(cJSON *object, const char *name, const char *text, size_t limit)
{
        _cleanup_free_ char *fit = text ? notify_text(text, limit, NULL) : NULL;

        json_add_string(object, name, fit);
}

char *notification_print(const struct notification *notification)
{
        _cleanup_json_ cJSON *object = cJSON_CreateObject();
        cJSON *facts;

        json_add_string(object, "severity", severity_names[notification->severity]);
        add_text(object, "title", notification->title, NOTIFY_TITLE_MAX);
        add_text(object, "text", notification->text, NOTIFY_TEXT_MAX);
        facts = cJSON_AddArrayToObject(object, "facts");
        for (size_t i = 0; i < notification->n_facts; i++) {
                cJSON *fact = cJSON_CreateObject();

                add_text(fact, "name", notification->facts[i].name, NOTIFY_NAME_MAX);
                add_text(fact, "value", notification->facts[i].value, NOTIFY_VALUE_MAX);
                cJSON_AddItemToArray(facts, fact);
        }
        add_text(object, "url", notification->url, NOTIFY_URL_MAX);
        add_text(object, "key", notification->key, NOTIFY_TITLE_MAX);
        return json_print(object);
}

/* A severity that this version does not know is shown as a warning rather than not at all. */
static enum notification_severity parse_severity(const char *name)
{
        for (size_t i = 0; name && i < ARRAY_SIZE(severity_names); i++)
                if (strcmp(name, severity_names[i]) == 0)
                        return (enum notification_severity)i;
        return NOTIFICATION_WARNING;
}

int notification_parse(const char *text, size_t size, struct notification *ret,
        struct cJSON **ret_json, struct err *err)
{
        _cleanup_json_ cJSON *object = NULL;
        struct notification notification = {0};
        const cJSON *fact;
        int r;

        r = json_parse(text, size, "the notification", &object, err);
        if (r < 0)
                return r;
        r = json_need_string(object, "title", &notification.title, err);
        if (r < 0)
                return err_prefix(err, r, "the notification");
        notification.severity = parse_severity(json_string(object, "severity"));
        notification.text = json_string(object, "text");
        notification.url = json_string(object, "url");
        notification.key = json_string(object, "key");
        if (!notification.text)
                notification.text = "";
        if (!notification.key)
                notification.key = notification.title;
        cJSON_ArrayForEach (fact, json_get(object, "facts")) {
                const char *name = json_string(fact, "name");

                if (name)
                        notification_fact(&notification, name, json_string(fact, "value"));
        }
        *ret = notification;
        *ret_json = MEM_STEAL(object);
        return 0;
}
