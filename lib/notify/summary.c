/* SPDX-License-Identifier: MIT */

/*
 * Many notifications as one. Each becomes a fact: its title, its own facts in one line, and its
 * link. What they mean and what to do about them is said once, as the text of the gravest one; the
 * log of `notify` has each in full.
 */

#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"
#include "notify/notification.h"
#include "text.h"

/* "Reason: exit code 1; Job: build" */
static char *facts_line(const struct notification *notification)
{
        _cleanup_buf_ struct buf line = BUF_INIT(4 * NOTIFY_TEXT_MAX);

        for (size_t i = 0; i < notification->n_facts; i++)
                buf_add_format(&line, "%s%s: %s", i > 0 ? "; " : "", notification->facts[i].name,
                        notification->facts[i].value);
        if (notification->n_facts == 0)
                buf_add_string(&line, notification->text);
        return buf_steal(&line);
}

void notification_sum_up(const struct notification *all, size_t n, struct notification_summary *ret)
{
        const struct notification *gravest = &all[0];

        *ret = (struct notification_summary){0};
        for (size_t i = 0; i < n; i++) {
                ret->values[i] = facts_line(&all[i]);
                ret->notification.facts[i] = (struct notification_fact){
                        .name = all[i].title,
                        .value = ret->values[i],
                        .url = all[i].url,
                };
                if (all[i].severity > gravest->severity)
                        gravest = &all[i];
        }
        ret->notification.n_facts = n;
        ret->notification.severity = gravest->severity;
        ret->notification.text = gravest->text;
        ret->title = mem_format("%s, and %zu more notifications", gravest->title, n - 1);
        ret->notification.title = ret->title;
}

void notification_summary_release(struct notification_summary *summary)
{
        free(summary->title);
        for (size_t i = 0; i < summary->notification.n_facts; i++)
                free(summary->values[i]);
        *summary = (struct notification_summary){0};
}
