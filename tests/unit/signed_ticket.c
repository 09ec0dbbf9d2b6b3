/* SPDX-License-Identifier: MIT */

/*
 * See signed_ticket.h.
 */

#include "signed_ticket.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/json.h"

static void print_hex(const unsigned char *bytes, size_t size, char *hex)
{
        for (size_t i = 0; i < size; i++)
                snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
}

char *signed_ticket(const char *key, const char *content)
{
        unsigned char digest[32];
        _cleanup_free_ char *text = NULL;
        char id[9];
        char signature[65];
        size_t size;

        EVP_Q_digest(NULL, "SHA256", NULL, key, strlen(key), digest, &size);
        print_hex(digest, 4, id);
        text = mem_format("1.%s.%s", id, content);
        EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, key, strlen(key), (unsigned char *)text,
                strlen(text), digest, sizeof(digest), &size);
        print_hex(digest, 32, signature);
        return mem_format("%s.%s", text, signature);
}

char *report_event(const char *stage, const char *ticket, const char *members)
{
        cJSON *string = ticket ? cJSON_CreateString(ticket) : NULL;
        _cleanup_free_ char *quoted = string ? json_print(string) : NULL;

        cJSON_Delete(string);
        return mem_format("{\"source\":\"scale-agent.runner\",\"detail-type\":\"Runner Report\","
                          "\"account\":\"" SIGNED_ACCOUNT "\",\"region\":\"eu-central-1\","
                          "\"detail\":{\"version\":1,\"prefix\":\"/"
                          "p\",\"instance_id\":\"i-00000001\","
                          "\"stage\":\"%s\"%s%s%s}}",
                stage, quoted ? ",\"ticket\":" : "", quoted ? quoted : "", members);
}
