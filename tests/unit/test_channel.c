/* SPDX-License-Identifier: MIT */

/*
 * What people see in Teams and Slack: it arrives whatever a job is called, shows a job's name as it
 * is, and never shows the URL of a webhook.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "base/json.h"
#include "base/utf8.h"
#include "notify/notification.h"
#include "script.h"
#include "unit.h"

#define URL "https://prod-1.westeurope.example.com/workflows/abc?sig=TOPSECRET"

static const struct notification lost = {
        .severity = NOTIFICATION_WARNING,
        .title = "Spot instance lost",
        .text = "EC2 took i-1 back. Run the job again.",
        .facts = {{"Job", "build"}, {"Repository", "octo-org/hello"}},
        .n_facts = 2,
        .url = "https://github.com/octo-org/hello/actions/runs/1/job/2",
        .key = "spot-i-1",
};

static const struct notification bare = {.title = "All is well"};

static char *body_of(const struct notify_channel *channel, const struct notification *notification)
{
        struct http_call *call = channel->call(URL, notification);
        char *body = mem_string(buf_string(&call->body));

        assert_string_equal(call->method, "POST");
        assert_string_equal(buf_string(&call->url), URL);
        assert_string_equal(buf_string(&call->headers), "Content-Type: application/json\n");
        http_call_free(call);
        return body;
}

static void assert_body(const struct notify_channel *channel,
        const struct notification *notification, const char *expected)
{
        _cleanup_free_ char *body = body_of(channel, notification);

        assert_string_equal(body, expected);
}

static const struct notify_channel *channel_named(const char *name)
{
        for (const struct notify_channel *channel = notify_channels; channel->name; channel++)
                if (strcmp(channel->name, name) == 0)
                        return channel;
        fail_msg("no channel %s", name);
        return NULL;
}

/* -- Teams -- */

#define CARD_BEGIN                                                                         \
        "{\"type\":\"message\",\"attachments\":[{"                                         \
        "\"contentType\":\"application/vnd.microsoft.card.adaptive\",\"contentUrl\":null," \
        "\"content\":{\"$schema\":\"http://adaptivecards.io/schemas/adaptive-card.json\"," \
        "\"type\":\"AdaptiveCard\",\"version\":\"1.2\",\"body\":["
#define CARD_TITLE(text_, color_)                                                             \
        "{\"type\":\"TextBlock\",\"text\":\"" text_ "\",\"wrap\":true,\"weight\":\"Bolder\"," \
        "\"size\":\"Medium\",\"color\":\"" color_ "\"}"
#define CARD_END "}}]}"

static void test_teams_card(void **state)
{
        (void)state;
        assert_body(channel_named("teams"), &lost,
                CARD_BEGIN CARD_TITLE("Spot instance lost",
                        "warning") ","
                                   "{\"type\":\"TextBlock\",\"text\":\"EC2 took i-1 back. Run the "
                                   "job again.\","
                                   "\"wrap\":true},"
                                   "{\"type\":\"FactSet\",\"facts\":[{\"title\":\"Job\",\"value\":"
                                   "\"build\"},"
                                   "{\"title\":\"Repository\",\"value\":\"octo-org/hello\"}]}],"
                                   "\"actions\":[{\"type\":\"Action.OpenUrl\",\"title\":\"Open the "
                                   "job\","
                                   "\"url\":\"https://github.com/octo-org/hello/actions/runs/1/job/"
                                   "2\"}]" CARD_END);
}

static void test_teams_leaves_out_what_is_not_there(void **state)
{
        (void)state;
        assert_body(channel_named("teams"), &bare,
                CARD_BEGIN CARD_TITLE("All is well", "accent") "]" CARD_END);
}

/* A job's name must not become Markdown, and least of all a link. */
static void test_teams_shows_markdown_as_it_is(void **state)
{
        const struct notification notification = {
                .severity = NOTIFICATION_ERROR,
                .title = "a_b*c [x](http://evil.example)\\",
                .text = "one\ntwo",
        };

        (void)state;
        assert_body(channel_named("teams"), &notification,
                CARD_BEGIN CARD_TITLE("a\\\\_b\\\\*c \\\\[x\\\\](http://evil.example)\\\\\\\\",
                        "attention") ",{\"type\":\"TextBlock\",\"text\":\"one\\n\\ntwo\",\"wrap\":"
                                     "true}]" CARD_END);
}

/* -- Slack -- */

#define MRKDWN(text_) "{\"type\":\"mrkdwn\",\"text\":\"" text_ "\",\"verbatim\":true}"
#define SECTION(text_) "{\"type\":\"section\",\"text\":" MRKDWN(text_) "}"

static void test_slack_blocks(void **state)
{
        (void)state;
        assert_body(channel_named("slack"), &lost,
                "{\"text\":\"Spot instance lost\",\"blocks\":[" SECTION(
                        ":warning: *Spot instance "
                        "lost*") "," SECTION("EC2 took i-1 back. Run the job again.") ","
                                                                                      "{\"type\":"
                                                                                      "\"section\","
                                                                                      "\"fields\":"
                                                                                      "[" MRKDWN(
                                                                                              "*"
                                                                                              "J"
                                                                                              "o"
                                                                                              "b"
                                                                                              "*"
                                                                                              "\\nb"
                                                                                              "uil"
                                                                                              "d") "," MRKDWN("*Rep"
                                                                                                              "osit"
                                                                                                              "ory*"
                                                                                                              "\\no"
                                                                                                              "cto-"
                                                                                                              "org/"
                                                                                                              "hell"
                                                                                                              "o") "]}," SECTION("<h"
                                                                                                                                 "tt"
                                                                                                                                 "ps"
                                                                                                                                 ":/"
                                                                                                                                 "/g"
                                                                                                                                 "it"
                                                                                                                                 "hu"
                                                                                                                                 "b."
                                                                                                                                 "co"
                                                                                                                                 "m/"
                                                                                                                                 "oc"
                                                                                                                                 "to"
                                                                                                                                 "-o"
                                                                                                                                 "rg"
                                                                                                                                 "/h"
                                                                                                                                 "el"
                                                                                                                                 "lo"
                                                                                                                                 "/a"
                                                                                                                                 "ct"
                                                                                                                                 "io"
                                                                                                                                 "ns"
                                                                                                                                 "/r"
                                                                                                                                 "un"
                                                                                                                                 "s/"
                                                                                                                                 "1/"
                                                                                                                                 "jo"
                                                                                                                                 "b/"
                                                                                                                                 "2|"
                                                                                                                                 "Op"
                                                                                                                                 "en"
                                                                                                                                 " t"
                                                                                                                                 "he"
                                                                                                                                 " j"
                                                                                                                                 "ob"
                                                                                                                                 ">") "]}");
}

/* A URL in plain is no link, and a name mentions nobody: all text is verbatim. */
static void test_slack_escapes(void **state)
{
        const struct notification notification = {
                .title = "a & <!channel> https://evil.example @here",
                .url = "https://github.com/?a=1&b=2",
        };

        (void)state;
        assert_body(channel_named("slack"), &notification,
                "{\"text\":\"a &amp; &lt;!channel&gt; https://evil.example "
                "@here\",\"blocks\":[" SECTION(
                        ":information_source: *a &amp; &lt;!channel&gt; "
                        "https://evil.example @here*") "," SECTION("<https://github.com/"
                                                                   "?a=1&amp;b=2|Open the job>") "]"
                                                                                                 "}");
}

/* A name must not read as another one: U+202E turns round what is behind it. */
static void test_names_do_not_mislead(void **state)
{
        static const struct notification notification = {
                .title = "a\u202eb \u2066c\u2069\u200fd\u2028e\xc2\x9b"
                         "f\x7fg \u05d0 \U0001f680",
        };

        (void)state;
        assert_body(channel_named("teams"), &notification,
                CARD_BEGIN CARD_TITLE("a b  c  d e f g \u05d0 \U0001f680", "accent") "]" CARD_END);
}

/* -- limits -- */

/* COUNT times PIECE; the caller frees. */
static char *repeat(const char *piece, size_t count)
{
        struct buf text = BUF_INIT(strlen(piece) * count);

        while (count-- > 0)
                buf_add_string(&text, piece);
        return buf_steal(&text);
}

static cJSON *parse_body(
        const struct notify_channel *channel, const struct notification *notification)
{
        _cleanup_free_ char *body = body_of(channel, notification);
        cJSON *json = NULL;

        assert_true(strlen(body) <= (size_t)28 * 1024);
        assert_int_equal(json_parse(body, strlen(body), channel->name, &json, NULL), 0);
        return json;
}

/* The largest notification, in characters that escaping doubles or that take many bytes. */
static void test_the_largest_message_fits(void **state)
{
        static const char *const pieces[] = {
                "a", "\\", "\"", "_", "&", "\n", "ä", "𝕏", "\x01", "\xff"};

        (void)state;
        for (size_t p = 0; p < ARRAY_SIZE(pieces); p++) {
                _cleanup_free_ char *text = repeat(pieces[p], 100000);
                struct notification notification = {.title = text, .text = text, .url = text};
                _cleanup_free_ char *message = NULL;

                for (size_t i = 0; i < NOTIFICATION_FACTS_MAX; i++)
                        notification_fact(&notification, text, text);
                for (size_t i = 0; notify_channels[i].name; i++)
                        cJSON_Delete(parse_body(&notify_channels[i], &notification));
                message = notification_print(&notification);
                assert_true(strlen(message) < (size_t)28 * 1024);
                assert_true(utf8_is_valid(message, strlen(message)));
        }
}

static void check_cut(const char *before)
{
        _cleanup_free_ char *euros = repeat("€", 3000);
        _cleanup_free_ char *text = mem_format("%s%s", before, euros);
        const struct notification notification = {.title = "t", .text = text};
        _cleanup_json_ cJSON *json = parse_body(channel_named("teams"), &notification);
        const cJSON *card = cJSON_GetArrayItem(json_get(json, "attachments"), 0);
        const char *shown;

        shown = json_string(cJSON_GetArrayItem(json_get(card, "content.body"), 1), "text");
        assert_true(strlen(shown) > 5990 && strlen(shown) <= 6000);
        assert_string_equal(shown + strlen(shown) - strlen("€…"), "€…");
}

static void test_text_is_cut_between_characters(void **state)
{
        (void)state;
        check_cut("");
        check_cut("a");
        check_cut("aa");
}

static void test_bad_bytes_are_shown_as_question_marks(void **state)
{
        const struct notification notification = {
                .title = "\xff\xc0\xafx\xed\xa0\x80\xe2\x82", /* overlong, surrogate, cut off */
        };

        (void)state;
        assert_body(channel_named("teams"), &notification,
                CARD_BEGIN CARD_TITLE("???x?????", "accent") "]" CARD_END);
}

/* Slack takes 3,000 characters and ten fields in a section; the cut must not split an entity. */
static void test_slack_limits(void **state)
{
        _cleanup_free_ char *text = repeat("&", 3000);
        struct notification notification = {.title = "t", .text = text};
        _cleanup_json_ cJSON *json = NULL;
        const cJSON *blocks;
        const char *shown;

        (void)state;
        for (size_t i = 0; i < NOTIFICATION_FACTS_MAX; i++)
                notification_fact(&notification, "name", "value");
        json = parse_body(channel_named("slack"), &notification);
        blocks = json_get(json, "blocks");
        shown = json_string(cJSON_GetArrayItem(blocks, 1), "text.text");
        assert_true(strlen(shown) > 2800 && strlen(shown) <= 3000);
        assert_string_equal(shown + strlen(shown) - strlen(";…"), ";…");
        assert_int_equal(cJSON_GetArraySize(json_get(cJSON_GetArrayItem(blocks, 2), "fields")), 10);
        assert_int_equal(cJSON_GetArraySize(json_get(cJSON_GetArrayItem(blocks, 3), "fields")), 2);
}

static void test_only_https_becomes_a_link(void **state)
{
        static const char *const urls[] = {"", "http://github.com/", "javascript:alert(1)",
                "https://github.com/a b", "https://github.com/|x>", "https://github.com/\n"};

        (void)state;
        for (size_t u = 0; u < ARRAY_SIZE(urls); u++)
                for (size_t i = 0; notify_channels[i].name; i++) {
                        const struct notification notification = {.title = "t", .url = urls[u]};
                        _cleanup_free_ char *body = body_of(&notify_channels[i], &notification);

                        assert_lacks(body, "Open the job");
                }
}

/* -- answers -- */

static int answer_of(
        const struct notify_channel *channel, int status, const char *text, struct err *err)
{
        _cleanup_(http_call_freep) struct http_call *call = channel->call(URL, &bare);

        answer(call, status, text);
        return channel->answer(call, err);
}

static void test_any_2xx_is_success(void **state)
{
        (void)state;
        for (size_t i = 0; notify_channels[i].name; i++) {
                assert_int_equal(answer_of(&notify_channels[i], 200, "ok", NULL), 0);
                assert_int_equal(answer_of(&notify_channels[i], 202, "", NULL), 0);
                assert_int_equal(answer_of(&notify_channels[i], 204, "", NULL), 0);
        }
}

static void assert_fails(
        int code, const char *name, int status, const char *text, const char *expected)
{
        struct err err = {0};

        assert_int_equal(answer_of(channel_named(name), status, text, &err), code);
        assert_contains(err.text, expected);
        assert_lacks(err.text, "SECRET");
        assert_lacks(err.text, "example.com");
        assert_lacks(err.text, "abc");
}

static void assert_refused(const char *name, int status, const char *text, const char *expected)
{
        assert_fails(-EPROTO, name, status, text, expected);
}

/* Any message would be refused for now. */
static void assert_passing(const char *name, int status, const char *text, const char *expected)
{
        assert_fails(-EAGAIN, name, status, text, expected);
}

static void test_refusals(void **state)
{
        (void)state;
        assert_refused("teams", 400,
                "{\"error\":{\"code\":\"WorkflowTriggerIsNotEnabled\",\"message\":\"workflow "
                "abc\"}}",
                "Teams: a webhook of TEAMS_WEBHOOK_URLS answered with HTTP status 400, "
                "WorkflowTriggerIsNotEnabled: check that the webhook still exists");
        assert_refused("slack", 404, "no_service",
                "Slack: a webhook of SLACK_WEBHOOK_URLS answered with HTTP status 404, "
                "no_service: check");
        assert_refused("slack", 403, "not to abc", "status 403: check");
        assert_refused("teams", 401, "{\"error\":{\"code\":\"/abc?sig\"}}", "status 401: check");
        assert_refused("teams", 413, "", "too large");
        assert_passing("teams", 503, "<html>" URL, "status 503: the service");
        assert_passing("slack", 429, "rate_limited", "rate_limited: too many messages");
}

/* With status 200, as Teams' connectors and Slack's methods do. */
static void test_refusals_in_words(void **state)
{
        static const char *const successes[] = {"1", "ok", "{\"ok\":true}", "{\"ok\":1}", "[]"};

        (void)state;
        assert_passing("teams", 200,
                "Webhook message delivery failed with error: Microsoft Teams endpoint returned "
                "HTTP error 429 with ContextId tcid=0,server=" URL,
                "Teams: a webhook of TEAMS_WEBHOOK_URLS answered with HTTP status 429: too many "
                "messages");
        assert_refused("teams", 200,
                "Webhook message delivery failed with error: Microsoft Teams endpoint returned "
                "HTTP error 413 with ContextId",
                "HTTP status 413: the message is too large");
        assert_refused("teams", 202, "Webhook message delivery failed: " URL,
                "HTTP status 202: this is not how a webhook answers");
        assert_refused("slack", 200, "{\"ok\":false,\"error\":\"channel_not_found\"}",
                "SLACK_WEBHOOK_URLS answered with HTTP status 200, channel_not_found: this is not "
                "how a webhook answers");
        for (size_t i = 0; i < ARRAY_SIZE(successes); i++)
                assert_int_equal(answer_of(channel_named("teams"), 200, successes[i], NULL), 0);
}

/* The transport's own error text may contain the host or the URL. */
static void test_no_answer_keeps_the_url_secret(void **state)
{
        (void)state;
        for (size_t i = 0; notify_channels[i].name; i++) {
                _cleanup_(http_call_freep) struct http_call *call =
                        notify_channels[i].call(URL, &bare);
                struct err err = {0};

                call->result = err_set(&call->err, -ECONNREFUSED, "cannot connect to " URL);
                assert_int_equal(notify_channels[i].answer(call, &err), -ECONNREFUSED);
                assert_contains(err.text, "did not answer: Connection refused");
                assert_contains(err.text, notify_channels[i].variable);
                assert_lacks(err.text, "example.com");
        }
}

static void test_too_many_messages_are_sent_later(void **state)
{
        struct script *script = script_new();
        struct http *http = script_http(script);
        struct http_call *call = slack_call(URL, &lost);

        (void)state;
        script_expect_headers(script, "POST", URL, "Spot", 429, "Retry-After: 1\r\n", "");
        script_expect_headers(script, "POST", URL, "Spot", 429, "Retry-After: 2\r\n", "");
        script_expect(script, "POST", URL, "Spot", 200, "ok");
        http_perform(http, call);
        assert_int_equal(slack_answer(call, NULL), 0);
        assert_true(call->ended_ms - call->started_ms >= 3000);
        http_call_free(call);
        http_free(http);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_teams_card),
                cmocka_unit_test(test_teams_leaves_out_what_is_not_there),
                cmocka_unit_test(test_teams_shows_markdown_as_it_is),
                cmocka_unit_test(test_slack_blocks),
                cmocka_unit_test(test_slack_escapes),
                cmocka_unit_test(test_names_do_not_mislead),
                cmocka_unit_test(test_the_largest_message_fits),
                cmocka_unit_test(test_text_is_cut_between_characters),
                cmocka_unit_test(test_bad_bytes_are_shown_as_question_marks),
                cmocka_unit_test(test_slack_limits),
                cmocka_unit_test(test_only_https_becomes_a_link),
                cmocka_unit_test(test_any_2xx_is_success),
                cmocka_unit_test(test_refusals),
                cmocka_unit_test(test_refusals_in_words),
                cmocka_unit_test(test_no_answer_keeps_the_url_secret),
                cmocka_unit_test(test_too_many_messages_are_sent_later),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
