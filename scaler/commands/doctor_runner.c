/* SPDX-License-Identifier: MIT */

/*
 * Doctor: whether GitHub still gives jobs to the runner in the images, and to those that are
 * registered. It does until 30 days after a newer version was published.
 */

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "doctor.h"
#include "github/versions.h"
#include "job/token_requests.h"

#define DAY_MS (24 * 3600 * MSEC_PER_SEC)
#define DAYS_ALLOWED 30
#define DAYS_UNTIL_FAILED 20 /* ten are left to build an image */

struct runner_check {
        struct doctor *doctor;
        struct finding *finding;
        struct github_versions published;
        const struct github_version *newest;
        int64_t now_ms;
};

/* WHAT has VERSION: "image ami-1", "runner i-1 of orgs/octo-org". */
static void judge(struct runner_check *check, const char *what, const char *version)
{
        int64_t since_ms = github_outdated_since_ms(&check->published, version);
        int64_t days = (check->now_ms - since_ms) / DAY_MS;

        if (since_ms == 0)
                finding_say(check->finding, "%s has %s, the newest", what, version);
        else if (days < DAYS_UNTIL_FAILED)
                finding_say(check->finding,
                        "%s has %s, the newest is %s; it gets jobs for %" PRId64 " more days", what,
                        version, check->newest->text, DAYS_ALLOWED - days);
        else
                finding_fail(check->finding,
                        "`make ami RUNNER_VERSION=... RUNNER_SHA256=...` with the newest, "
                        "then `make stack AMI=...`",
                        "%s has %s, the newest is %s; GitHub gives it %s", what, version,
                        check->newest->text,
                        days < DAYS_ALLOWED ? "jobs for less than 10 more days" : "no jobs");
}

static void judge_images(struct runner_check *check)
{
        const struct ec2_images *images = &check->doctor->images;

        for (size_t i = 0; i < images->count; i++) {
                const struct ec2_image *image = &images->items[i];
                _cleanup_free_ char *what = mem_format("image %s", image->id);

                if (image->runner_version[0])
                        judge(check, what, image->runner_version);
                else
                        finding_say(check->finding, "%s has no tag of its runner's version", what);
        }
}

/* Only machines' runners: their names are those of instances. */
static void judge_scope(struct runner_check *check, int64_t installation, const char *scope)
{
        struct doctor *doctor = check->doctor;
        _cleanup_(http_call_freep) struct http_call *call = scaler_call(
                &doctor->scaler, github_list_runners(doctor->github, installation, scope));
        _cleanup_(github_runner_versions_release) struct github_runner_versions runners = {0};
        struct err err;

        if (github_list_runners_answer(call, &runners, &err) < 0) {
                finding_say(
                        check->finding, "the runners of %s cannot be seen: %s", scope, err.text);
                return;
        }
        for (size_t i = 0; i < runners.count; i++) {
                _cleanup_free_ char *what =
                        mem_format("runner %s of %s", runners.items[i].name, scope);

                if (strncmp(runners.items[i].name, "i-", 2) == 0 &&
                        strcmp(runners.items[i].version, check->newest->text) != 0)
                        judge(check, what, runners.items[i].version);
        }
}

/* The installation of the account that SCOPE belongs to: 0 and a token, or positive: none. */
static int find_installation(const struct doctor *doctor, const char *scope, int64_t *ret)
{
        const char *account = strchr(scope, '/') + 1;
        size_t size = strcspn(account, "/");

        *ret = 0;
        if (!doctor->config->app_id || github_is_enterprise(scope))
                return 0;
        for (size_t i = 0; i < doctor->installations.count; i++) {
                const struct github_installation *one = &doctor->installations.items[i];

                if (strlen(one->account) != size || strncasecmp(one->account, account, size) != 0)
                        continue;
                *ret = one->id;
                return 0;
        }
        return 1;
}

static void judge_scopes(struct runner_check *check)
{
        struct doctor *doctor = check->doctor;
        char scopes[DOCTOR_SCOPES_MAX][GITHUB_SCOPE_SIZE];
        size_t n_scopes = doctor_scopes(doctor->config, scopes);

        for (size_t i = 0; i < n_scopes; i++) {
                int64_t installation;
                struct err err;

                if (find_installation(doctor, scopes[i], &installation) == 0 &&
                        (installation == 0 || ensure_token(&doctor->scaler, doctor->github,
                                                      installation, &err) == 0))
                        judge_scope(check, installation, scopes[i]);
        }
}

/* The id of any installation that can give tokens; 0: there is none. */
static int64_t any_installation(const struct doctor *doctor)
{
        for (size_t i = 0; i < doctor->installations.count; i++)
                if (!doctor->installations.items[i].suspended &&
                        config_allows_installation(
                                doctor->config, doctor->installations.items[i].id))
                        return doctor->installations.items[i].id;
        return 0;
}

/* Reads what was published; if that is not known, the finding is skipped. */
static int read_published(struct runner_check *check)
{
        struct doctor *doctor = check->doctor;
        _cleanup_(http_call_freep) struct http_call *call = NULL;
        int64_t installation = 0;
        struct err err;
        int r = 0;

        if (doctor->config->app_id) {
                installation = any_installation(doctor);
                if (installation == 0) {
                        finding_skip(check->finding, "no installation of the App is known");
                        return -ENOENT;
                }
                r = ensure_token(&doctor->scaler, doctor->github, installation, &err);
        }
        if (r == 0) {
                call = scaler_call(
                        &doctor->scaler, github_list_versions(doctor->github, installation));
                r = github_list_versions_answer(call, &check->published, &err);
        }
        check->newest = github_newest_version(&check->published);
        if (r < 0)
                finding_skip(check->finding, "%s", err.text);
        else if (!check->newest)
                finding_skip(check->finding, "this GitHub shows no release of the runner");
        return check->newest ? 0 : -ENOENT;
}

void doctor_check_runner(struct doctor *doctor, struct finding *finding)
{
        struct runner_check check = {
                .doctor = doctor,
                .finding = finding,
                .now_ms = clock_wall_ms(doctor->scaler.clock),
        };

        if (!doctor->config || !doctor->github) {
                finding_skip(finding, "there is nothing to ask GitHub with");
                return;
        }
        if (read_published(&check) == 0) {
                judge_images(&check);
                judge_scopes(&check);
                finding_say(finding, "GitHub's newest is %s", check.newest->text);
        }
        github_versions_release(&check.published);
}
