/* SPDX-License-Identifier: MIT */

/*
 * Signs tickets, and checks them. Nothing of a ticket is parsed before its signature was compared.
 */

#include "ticket.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/json.h"
#include "base/mem.h"

#define VERSION "1"
#define KEY_ID_SIZE 8
#define UNTIL_MAX INT64_C(100000000000) /* no later moment is meant */
#define SIGNATURE_SIZE (DIGEST_HEX_SIZE - 1)

static const struct {
        const char *name;
        size_t offset;
        bool needed;
} string_fields[] = {
        {"prefix", offsetof(struct ticket, prefix), true},
        {"account", offsetof(struct ticket, account), true},
        {"region", offsetof(struct ticket, region), true},
        {"instance", offsetof(struct ticket, instance), true},
        {"type", offsetof(struct ticket, type), true},
        {"spec", offsetof(struct ticket, spec), true},
        {"scope", offsetof(struct ticket, scope), true},
        {"repository", offsetof(struct ticket, job.repository), true},
        {"first_type", offsetof(struct ticket, job.instance_type), true},
        {"name", offsetof(struct ticket, job.name), false},
        {"url", offsetof(struct ticket, job.url), false},
};

static const struct {
        const char *name;
        size_t offset;
} integer_fields[] = {
        {"runner", offsetof(struct ticket, runner_id)},
        {"expires", offsetof(struct ticket, expires_ms)},
        {"job", offsetof(struct ticket, job.id)},
        {"run", offsetof(struct ticket, job.run_id)},
        {"attempt", offsetof(struct ticket, job.attempt)},
        {"installation", offsetof(struct ticket, job.installation)},
        {"launch", offsetof(struct ticket, job.launch)},
        {"relaunches", offsetof(struct ticket, job.relaunches)},
        {"offer", offsetof(struct ticket, job.offer)},
        {"queued", offsetof(struct ticket, times.queued)},
        {"webhook", offsetof(struct ticket, times.webhook)},
        {"launched", offsetof(struct ticket, times.launched)},
        {"handed_over", offsetof(struct ticket, times.handed_over)},
};

static char **string_at(struct ticket *ticket, size_t offset)
{
        void *member = (char *)ticket + offset;

        return member;
}

static int64_t *integer_at(struct ticket *ticket, size_t offset)
{
        void *member = (char *)ticket + offset;

        return member;
}

void ticket_release(struct ticket *ticket)
{
        for (size_t i = 0; i < ARRAY_SIZE(string_fields); i++)
                free(*string_at(ticket, string_fields[i].offset));
        *ticket = (struct ticket){0};
}

const char *ticket_refusal_name(enum ticket_refusal refusal)
{
        static const char *const names[] = {
                [TICKET_ABSENT] = "without a ticket",
                [TICKET_MALFORMED] = "malformed ticket",
                [TICKET_UNKNOWN_KEY] = "ticket of an unknown key",
                [TICKET_FORGED] = "forged ticket",
                [TICKET_EXPIRED] = "expired ticket",
                [TICKET_FOREIGN] = "foreign ticket",
        };

        return names[refusal];
}

/* -- keys -- */

struct key {
        const char *text; /* borrowed */
        size_t size;
        int64_t until_ms; /* 0: none is given */
        char id[KEY_ID_SIZE + 1];
};

static int64_t read_until_ms(const char *text)
{
        int64_t seconds = strtoll(text, NULL, 10);

        return seconds > 0 && seconds < UNTIL_MAX ? seconds * MSEC_PER_SEC : 0;
}

/* The next key of *TEXT, which moves on: whether there is one. A line that is no key is skipped. */
static bool next_key(const char **text, struct key *ret)
{
        while (**text) {
                const char *line = *text;
                size_t size = strcspn(line, " \r\n");
                char hex[DIGEST_HEX_SIZE];

                *text += strcspn(line, "\n");
                *text += **text == '\n';
                if (size < TICKET_KEY_SIZE)
                        continue;
                *ret = (struct key){.text = line, .size = size};
                if (line[size] == ' ')
                        ret->until_ms = read_until_ms(line + size);
                digest_sha256_hex(line, size, hex);
                memcpy(ret->id, hex, KEY_ID_SIZE);
                return true;
        }
        return false;
}

/* The key of this id that is believed at NOW_MS: the first one, or one whose end is to come. */
static bool find_key(const char *keys, const char *id, int64_t now_ms, struct key *ret)
{
        for (bool first = true; next_key(&keys, ret); first = false)
                if (strncmp(ret->id, id, KEY_ID_SIZE) == 0 && (first || now_ms < ret->until_ms))
                        return true;
        return false;
}

bool ticket_has_key(const char *keys)
{
        struct key key;

        return next_key(&keys, &key);
}

/* -- printing -- */

static char *print_content(const struct ticket *ticket)
{
        struct ticket *fields = (struct ticket *)ticket; /* only read here */
        _cleanup_json_ cJSON *content = cJSON_CreateObject();

        for (size_t i = 0; i < ARRAY_SIZE(string_fields); i++)
                json_add_string(content, string_fields[i].name,
                        *string_at(fields, string_fields[i].offset));
        for (size_t i = 0; i < ARRAY_SIZE(integer_fields); i++)
                json_add_integer(content, integer_fields[i].name,
                        *integer_at(fields, integer_fields[i].offset));
        return json_print(content);
}

char *ticket_print(const struct ticket *ticket, const char *keys)
{
        _cleanup_free_ char *content = NULL;
        _cleanup_free_ char *text = NULL;
        char signature[DIGEST_HEX_SIZE];
        struct key key;

        if (!keys || !next_key(&keys, &key))
                return NULL;
        content = print_content(ticket);
        text = mem_format(VERSION ".%s.%s", key.id, content);
        digest_hmac_hex(key.text, key.size, text, strlen(text), signature);
        return mem_format("%s.%s", text, signature);
}

/* -- checking -- */

static int parse_content(const char *text, size_t size, struct ticket *ticket)
{
        _cleanup_json_ cJSON *content = NULL;

        if (json_parse(text, size, "the ticket", &content, NULL) < 0)
                return TICKET_MALFORMED;
        for (size_t i = 0; i < ARRAY_SIZE(string_fields); i++) {
                const char *string = json_string(content, string_fields[i].name);

                if (!string && string_fields[i].needed)
                        return TICKET_MALFORMED;
                *string_at(ticket, string_fields[i].offset) = mem_string(string);
        }
        for (size_t i = 0; i < ARRAY_SIZE(integer_fields); i++) {
                int64_t integer = json_integer(content, integer_fields[i].name, -1);

                if (integer < 0)
                        return TICKET_MALFORMED;
                *integer_at(ticket, integer_fields[i].offset) = integer;
        }
        return ticket->job.id > 0 ? 0 : TICKET_MALFORMED;
}

static bool is_of(const struct ticket *ticket, const struct ticket_place *place)
{
        return strcmp(ticket->prefix, place->prefix) == 0 &&
               strcmp(ticket->account, place->account) == 0 &&
               strcmp(ticket->region, place->region) == 0;
}

/* Compares the signature, which takes as long whatever it is. */
static int check_signature(const char *text, size_t size, const char *keys, int64_t now_ms)
{
        char signature[DIGEST_HEX_SIZE];
        struct key key;

        if (!keys || !find_key(keys, text + strlen(VERSION "."), now_ms, &key))
                return TICKET_UNKNOWN_KEY;
        digest_hmac_hex(key.text, key.size, text, size - SIGNATURE_SIZE - 1, signature);
        return CRYPTO_memcmp(signature, text + size - SIGNATURE_SIZE, SIGNATURE_SIZE) == 0
                       ? 0
                       : TICKET_FORGED;
}

int ticket_check(const char *text, const char *keys, const struct ticket_place *place,
        int64_t now_ms, struct ticket *ret)
{
        static const size_t start = strlen(VERSION ".") + KEY_ID_SIZE + 1;
        _cleanup_(ticket_release) struct ticket ticket = {0};
        size_t size = text ? strnlen(text, TICKET_MAX + 1) : 0;
        int r;

        if (size == 0)
                return TICKET_ABSENT;
        if (size > TICKET_MAX || size < start + 1 + SIGNATURE_SIZE ||
                strncmp(text, VERSION ".", strlen(VERSION ".")) != 0 || text[start - 1] != '.' ||
                text[size - SIGNATURE_SIZE - 1] != '.')
                return TICKET_MALFORMED;
        r = check_signature(text, size, keys, now_ms);
        if (r == 0)
                r = parse_content(text + start, size - SIGNATURE_SIZE - 1 - start, &ticket);
        if (r != 0)
                return r;
        if (!is_of(&ticket, place))
                return TICKET_FOREIGN;
        if (now_ms >= ticket.expires_ms)
                return TICKET_EXPIRED;
        *ret = ticket;
        ticket = (struct ticket){0};
        return 0;
}
