/* SPDX-License-Identifier: MIT */

/*
 * Reads a delivery: the function URL's event, its headers in any case, base64, JSON or a form.
 */

#include "delivery.h"

#include <curl/curl.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/json.h"

void delivery_release(struct delivery *delivery)
{
        cJSON_Delete(delivery->json);
        buf_release(&delivery->decoded);
        *delivery = (struct delivery){0};
}

/* Function URLs pass header names in lower case; events made by hand may not. */
static const char *header(const cJSON *event, const char *name)
{
        const cJSON *headers = json_get(event, "headers");

        return cJSON_GetStringValue(cJSON_GetObjectItem(headers, name));
}

/* Repositories and organizations have ids of their own. */
static const char *app_of(const cJSON *event)
{
        const char *type = header(event, "x-github-hook-installation-target-type");

        return type && strcmp(type, "integration") == 0
                       ? header(event, "x-github-hook-installation-target-id")
                       : NULL;
}

static int decode_base64(const char *text, struct buf *ret, struct err *err)
{
        size_t size = strlen(text);
        _cleanup_free_ unsigned char *bytes = mem_alloc(size / 4 * 3 + 4);
        int decoded =
                size % 4 == 0 ? EVP_DecodeBlock(bytes, (const unsigned char *)text, (int)size) : -1;

        if (decoded < 0)
                return err_set(err, -EBADMSG, "the body is not base64, although the event says so");
        /* EVP_DecodeBlock counts the padding too. */
        if (size > 0 && text[size - 1] == '=')
                decoded -= text[size - 2] == '=' ? 2 : 1;
        return buf_add(ret, bytes, (size_t)decoded);
}

static int read_body(struct delivery *delivery, struct err *err)
{
        const char *body = json_string(delivery->json, "body");
        bool is_base64 = json_boolean(delivery->json, "isBase64Encoded", false);
        int r;

        delivery->decoded = (struct buf)BUF_INIT(DELIVERY_MAX);
        delivery->body = body ? body : "";
        delivery->body_size = strlen(delivery->body);
        if (!is_base64)
                return delivery->body_size > DELIVERY_MAX ? -EFBIG : 0;
        /* 4 characters of base64 hold 3 bytes. */
        if (delivery->body_size / 4 * 3 > DELIVERY_MAX)
                return -EFBIG;
        r = decode_base64(delivery->body, &delivery->decoded, err);
        delivery->body = buf_string(&delivery->decoded);
        delivery->body_size = delivery->decoded.size;
        return r;
}

/* Which service other than a function URL sent EVENT, found by a member that only its events have;
 * NULL: none that we know.
 * https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html
 * https://docs.aws.amazon.com/elasticloadbalancing/latest/application/lambda-functions.html */
static const char *other_sender(const cJSON *event)
{
        static const struct {
                const char *member;
                const char *name;
        } senders[] = {
                {"requestContext.elb", "a load balancer"},
                {"httpMethod", "API Gateway in format 1.0"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(senders); i++)
                if (json_get(event, senders[i].member))
                        return senders[i].name;
        return NULL;
}

int delivery_parse(const char *event, size_t size, struct delivery *ret, struct err *err)
{
        struct delivery delivery = {0};
        const char *sender;
        const char *method;
        int r = json_parse(event, size, "the event", &delivery.json, err);

        if (r < 0)
                return 400;
        sender = other_sender(delivery.json);
        if (sender) {
                err_set(err, 0,
                        "this is an event of %s; "
                        "only a function URL's, or API Gateway's in format 2.0, can be read",
                        sender);
                delivery_release(&delivery);
                return 400;
        }
        method = json_string(delivery.json, "requestContext.http.method");
        if (!method || strcasecmp(method, "POST") != 0) {
                err_set(err, 0, "only POST is accepted here; this URL is for GitHub's webhook");
                delivery_release(&delivery);
                return 405;
        }
        r = read_body(&delivery, err);
        if (r == -EFBIG || r == -ENOBUFS) {
                err_set(err, 0, "the body is larger than 25 MB");
                delivery_release(&delivery);
                return 413;
        }
        if (r < 0) {
                delivery_release(&delivery);
                return 400;
        }
        delivery.event = header(delivery.json, "x-github-event");
        delivery.id = header(delivery.json, "x-github-delivery");
        delivery.signature = header(delivery.json, "x-hub-signature-256");
        delivery.type = header(delivery.json, "content-type");
        delivery.app = app_of(delivery.json);
        *ret = delivery;
        return 0;
}

/* Decodes the form field at TEXT, which ends before the next "&". */
static int decode_form(const char *text, struct buf *ret)
{
        _cleanup_free_ char *encoded = mem_format("%.*s", (int)strcspn(text, "&"), text);
        char *decoded;
        int size;
        int r;

        for (char *plus = strchr(encoded, '+'); plus; plus = strchr(plus, '+'))
                *plus = ' ';
        decoded = curl_easy_unescape(NULL, encoded, 0, &size);
        if (!decoded)
                return -EBADMSG;
        r = buf_add(ret, decoded, (size_t)size);
        curl_free(decoded);
        return r;
}

/* The value of the form field `payload`, still encoded, or NULL. */
static const char *form_payload(const char *form)
{
        static const char name[] = "payload=";

        while (form && strncmp(form, name, sizeof(name) - 1) != 0) {
                form = strchr(form, '&');
                if (form)
                        form++;
        }
        return form ? form + sizeof(name) - 1 : NULL;
}

int delivery_payload(const struct delivery *delivery, cJSON **ret, struct err *err)
{
        _cleanup_buf_ struct buf decoded = BUF_INIT(DELIVERY_MAX);
        static const char form[] = "application/x-www-form-urlencoded";
        const char *encoded;

        if (!delivery->type || strncasecmp(delivery->type, form, sizeof(form) - 1) != 0)
                return json_parse(delivery->body, delivery->body_size, "the body", ret, err);
        encoded = form_payload(delivery->body);
        if (!encoded)
                return err_set(err, -EBADMSG, "the form has no field `payload`");
        if (decode_form(encoded, &decoded) < 0)
                return err_set(err, -EBADMSG, "the form field `payload` is not url-encoded");
        return json_parse(buf_string(&decoded), decoded.size, "the form field `payload`", ret, err);
}
