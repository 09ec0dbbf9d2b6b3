/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Tickets as the scaler signs them, made without its code.
 */

#include "stage.h"

/* Members of a ticket before and after its RELAUNCHES; it never expires in a test. */
#define SIGNED_CONTENT_OF(prefix, account, region, expires, relaunches)                           \
        "{\"prefix\":\"" prefix "\",\"account\":\"" account "\",\"region\":\"" region             \
        "\",\"instance\":\"i-00000001\",\"type\":\"m7a.large\",\"spec\":\"linux\","               \
        "\"scope\":\"repos/o/r\",\"repository\":\"o/r\",\"first_type\":\"m7i.large\","            \
        "\"name\":\"build\",\"url\":\"https://github.test/1\",\"runner\":23,\"expires\":" expires \
        ",\"job\":1,\"run\":2,\"attempt\":1,\"installation\":4711,\"launch\":0,"                  \
        "\"relaunches\":" relaunches ",\"offer\":0,\"queued\":500,\"webhook\":1000,"              \
        "\"launched\":2000,\"handed_over\":2500}"
#define SIGNED_ACCOUNT "123456789012"
#define SIGNED_NEVER "9000000000000000"
#define SIGNED_CONTENT(relaunches) \
        SIGNED_CONTENT_OF("/p", SIGNED_ACCOUNT, "eu-central-1", SIGNED_NEVER, relaunches)

/* The ticket of CONTENT, signed with KEY; the caller frees. */
char *signed_ticket(const char *key, const char *content);

/* EventBridge's event with a report: its stage, TICKET (NULL: none), and further members of the
 * detail, ",\"name\":value". The caller frees. */
char *report_event(const char *stage, const char *ticket, const char *members);
