/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A budget of calls: a token bucket. It begins full, is spent by calls and filled by time; what a
 * server says of its own limit counts for more: a refusal empties the budget, and closes it until
 * the limit ends. A warm process keeps one between events. Times are monotonic milliseconds.
 *
 * A process sees its own calls only. Where others take turns with it, as when Lambda has a queue
 * served by one environment and then by another, each must not believe that the budget was left
 * alone meanwhile: budget_begin().
 */

#include <stdbool.h>
#include <stdint.h>

struct budget {
        int64_t points;     /* that a full one holds */
        int64_t per_minute; /* points that time adds */
        int64_t level;      /* in thousandths of a point; negative: spent in advance */
        int64_t level_ms;   /* when that was so */
        int64_t ended_ms;   /* when this process had its last event; 0: it had none */
        int64_t closed_ms;  /* until then nothing may be spent; 0: it is open */
};

/* A full one. */
void budget_init(struct budget *budget, int64_t points, int64_t per_minute, int64_t now_ms);

/* To be called before an event's first call. What is to be done has waited for WAITED_MS: if this
 * process was idle for most of that, another one has spent meanwhile, and the budget is empty. */
void budget_begin(struct budget *budget, int64_t now_ms, int64_t waited_ms);
/* To be called after an event's last call. */
void budget_end(struct budget *budget, int64_t now_ms);

/* Milliseconds until POINTS are there; 0: now. */
int64_t budget_wait(const struct budget *budget, int64_t now_ms, int64_t points);

/* Spends POINTS, whether they are there or not. */
void budget_spend(struct budget *budget, int64_t now_ms, int64_t points);

/* The server has refused a call: nothing is left, and nothing is added before UNTIL_MS. */
void budget_empty(struct budget *budget, int64_t now_ms, int64_t until_ms);
