/* SPDX-License-Identifier: MIT */

/*
 * Keeps the tokens with which calls about runners are made: one for each installation of the App,
 * requested when it is first needed and again before it expires; or a personal token.
 * https://docs.github.com/en/rest/apps/apps#create-an-installation-access-token-for-an-app
 */

#include "github/github.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "call.h"

/* A token must outlive the work that it is used for. */
#define TOKEN_RESERVE_MS (300 * MSEC_PER_SEC)

/* GitHub promises no length; this is far beyond any seen. */
#define TOKEN_SIZE_MAX 4096

/* -- the client -- */

static char *copy_api_url(const char *api_url)
{
        char *copy = mem_string(api_url);

        for (size_t size = strlen(copy); size > 0 && copy[size - 1] == '/'; size--)
                copy[size - 1] = '\0';
        return copy;
}

void github_init_app(struct github *github, const struct clock *clock, const char *api_url,
        const char *app_id, const char *private_key)
{
        *github = (struct github){
                .clock = clock,
                .api_url = copy_api_url(api_url),
                .app_id = mem_string(app_id),
                .private_key = mem_string(private_key),
        };
}

void github_init_token(
        struct github *github, const struct clock *clock, const char *api_url, const char *token)
{
        *github = (struct github){
                .clock = clock,
                .api_url = copy_api_url(api_url),
                .tokens = mem_alloc(sizeof(struct github_token)),
                .n_tokens = 1,
        };
        github->tokens[0].token = mem_string(token);
}

void github_set_enterprise_token(struct github *github, const char *token)
{
        mem_free_secret(github->enterprise_token);
        github->enterprise_token = mem_string(token);
}

void github_release(struct github *github)
{
        for (size_t i = 0; i < github->n_tokens; i++)
                mem_free_secret(github->tokens[i].token);
        free(github->tokens);
        mem_free_secret(github->private_key);
        EVP_PKEY_free(github->key);
        mem_free_secret(github->enterprise_token);
        free(github->app_id);
        free(github->api_url);
        *github = (struct github){0};
}

/* -- kept tokens -- */

static struct github_token *find_token(const struct github *github, int64_t installation)
{
        /* A personal token serves every installation that a delivery names. */
        if (!github->app_id)
                installation = 0;
        for (size_t i = 0; i < github->n_tokens; i++)
                if (github->tokens[i].installation == installation)
                        return &github->tokens[i];
        return NULL;
}

const char *github_any_token(const struct github *github, int64_t installation)
{
        const struct github_token *token = find_token(github, installation);

        return token ? token->token : NULL;
}

const char *github_kept_token(const struct github *github, int64_t installation)
{
        const struct github_token *token = find_token(github, installation);

        if (!token)
                return NULL;
        if (token->expires_ms > 0 &&
                token->expires_ms - clock_wall_ms(github->clock) < TOKEN_RESERVE_MS)
                return NULL;
        return token->token;
}

/* Where INSTALLATION's token goes: in place of its last one, of any that has expired, or at the
 * end. */
static struct github_token *place_for(struct github *github, int64_t installation)
{
        struct github_token *place = find_token(github, installation);
        int64_t now = clock_wall_ms(github->clock);

        for (size_t i = 0; i < github->n_tokens && !place; i++)
                if (github->tokens[i].expires_ms <= now)
                        place = &github->tokens[i];
        if (place)
                return place;
        github->tokens =
                mem_resize(github->tokens, github->n_tokens + 1, sizeof(struct github_token));
        place = &github->tokens[github->n_tokens++];
        *place = (struct github_token){0};
        return place;
}

static void keep_token(
        struct github *github, int64_t installation, const char *token, int64_t expires_ms)
{
        struct github_token *place = place_for(github, installation);

        mem_free_secret(place->token);
        *place = (struct github_token){
                .installation = installation,
                .token = mem_string(token),
                .expires_ms = expires_ms,
        };
}

void github_forget_token(struct github *github, int64_t installation)
{
        struct github_token *token = find_token(github, installation);

        if (!token || !github->app_id)
                return;
        mem_free_secret(token->token);
        *token = github->tokens[--github->n_tokens];
}

/* -- requesting one -- */

static void free_secretp(char **secret)
{
        mem_free_secret(*secret);
}

int github_access_token(
        struct github *github, int64_t installation, struct http_call **ret_call, struct err *err)
{
        _cleanup_(free_secretp) char *jwt = NULL;
        struct http_call *call;
        int r;

        if (github->app_id && installation <= 0)
                return err_set(err, -EINVAL,
                        "GitHub App %s: the delivery names no installation; "
                        "it must come from the App's own webhook, "
                        "not from one of the repository or organization",
                        github->app_id);
        r = github_app_jwt(github, &jwt, err);
        if (r < 0)
                return r;
        call = http_call_new("installation token", "POST",
                "%s/app/installations/%" PRId64 "/access_tokens", github->api_url, installation);
        github_call_prepare(call, jwt);
        /* An empty object requests all permissions that the installation has. */
        http_call_body(call, "application/json", "{}", 2);
        *ret_call = call;
        return 0;
}

static const struct github_advice token_advice[] = {
        {401, -EKEYREJECTED,
                "check that the private key belongs to this App and is not revoked, "
                "that the App id is right, and that this machine's clock is"},
        {403, -EACCES,
                "check in the owner's settings, under installed GitHub Apps, "
                "that this installation is not suspended"},
        {404, -ENOENT,
                "check that the App id is right, "
                "and that the App is (still) installed under this installation id"},
        {422, -EINVAL, "check the App's permissions and its installation"},
        {0},
};

static bool is_header_safe(const char *token)
{
        for (const char *c = token; *c; c++)
                if (!isgraph((unsigned char)*c))
                        return false;
        return strlen(token) <= TOKEN_SIZE_MAX;
}

static int read_token(struct github *github, const cJSON *body, int64_t installation,
        const char **ret_token, struct err *err)
{
        int64_t expires_ms;
        int r;

        r = json_need_string(body, "token", ret_token, err);
        if (r < 0)
                return r;
        if (!is_header_safe(*ret_token))
                return err_set(err, -EBADMSG, "token: at most %d printable characters are expected",
                        TOKEN_SIZE_MAX);
        if (clock_parse(json_string(body, "expires_at"), &expires_ms) < 0)
                return err_set(
                        err, -EBADMSG, "expires_at: a time such as 2026-01-31T12:00:00Z is needed");
        keep_token(github, installation, *ret_token, expires_ms);
        return 0;
}

int github_access_token_answer(
        struct github *github, const struct http_call *call, int64_t installation, struct err *err)
{
        _cleanup_json_ cJSON *body = NULL;
        _cleanup_free_ char *subject = NULL;
        const char *token = NULL;
        int r;

        subject = mem_format("token of GitHub App %s for installation %" PRId64,
                github->app_id ? github->app_id : "(none)", installation);
        if (call->result < 0 || call->status / 100 != 2)
                return github_refused(call, subject, token_advice, err);
        r = json_parse(buf_string(&call->answer), call->answer.size, "GitHub's answer", &body, err);
        if (r >= 0)
                r = read_token(github, body, installation, &token, err);
        if (token)
                explicit_bzero((char *)token, strlen(token));
        return r < 0 ? err_prefix(err, r, "%s", subject) : 0;
}
