/* SPDX-License-Identifier: MIT */

/*
 * The command `scaler doctor`: runs one check after the other and prints what each of them found.
 */

#include "doctor.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"

#define TEXT_LIMIT ((size_t)16 * 1024)

static const struct check {
        const char *name;
        void (*check)(struct doctor *doctor, struct finding *finding);
} checks[] = {
        {"aws-credentials", doctor_check_aws},
        {"configuration", doctor_check_config},
        {"webhook-secret", doctor_check_webhook_secret},
        {"github-secret", doctor_check_github_secret},
        {"github-app", doctor_check_app},
        {"github-permissions", doctor_check_permissions},
        {"github-installations", doctor_check_installations},
        {"github-token", doctor_check_token},
        {"webhook", doctor_check_hook},
        {"deliveries", doctor_check_deliveries},
        {"additional-apps", doctor_check_additional_apps},
        {"enterprise", doctor_check_enterprise},
        {"launch-templates", doctor_check_templates},
        {"images", doctor_check_images},
        {"runner-version", doctor_check_runner},
        {"encryption", doctor_check_encryption},
        {"agent-profile", doctor_check_profile},
        {"fleets", doctor_check_fleets},
        {"subnets", doctor_check_subnets},
        {"instance-types", doctor_check_types},
        {"spot-quota", doctor_check_quota},
        {"hand-over", doctor_check_hand_over},
};

static const char *const result_names[] = {
        [FINDING_OK] = "ok",
        [FINDING_FAILED] = "failed",
        [FINDING_SKIPPED] = "skipped",
};

/* -- findings -- */

__attribute__((format(printf, 2, 0))) static void add_text(
        struct finding *finding, const char *format, va_list arguments)
{
        char text[2048];

        (void)vsnprintf(text, sizeof(text), format, arguments);
        buf_add_format(&finding->text, "%s%s", finding->text.size > 0 ? "; " : "", text);
}

void finding_say(struct finding *finding, const char *format, ...)
{
        va_list arguments;

        if (finding->result == FINDING_FAILED)
                return;
        va_start(arguments, format);
        add_text(finding, format, arguments);
        va_end(arguments);
}

void finding_fail(struct finding *finding, const char *advice, const char *format, ...)
{
        va_list arguments;

        /* Only failures matter from here on. */
        if (finding->result != FINDING_FAILED)
                buf_clear(&finding->text);
        finding->result = FINDING_FAILED;
        if (!finding->advice)
                finding->advice = advice;
        va_start(arguments, format);
        add_text(finding, format, arguments);
        va_end(arguments);
}

void finding_skip(struct finding *finding, const char *format, ...)
{
        va_list arguments;

        if (finding->result == FINDING_FAILED)
                return;
        finding->result = FINDING_SKIPPED;
        va_start(arguments, format);
        add_text(finding, format, arguments);
        va_end(arguments);
}

bool doctor_has_aws(const struct doctor *doctor, struct finding *finding)
{
        if (!doctor->config)
                finding_skip(finding, "there is no valid configuration");
        else if (!doctor->aws)
                finding_skip(finding, "there are no AWS credentials");
        return doctor->config && doctor->aws;
}

bool doctor_has_app(const struct doctor *doctor, struct finding *finding)
{
        if (doctor->config && !doctor->config->app_id)
                finding_skip(finding, "a personal token is used, no App");
        else if (!doctor->app.name[0])
                finding_skip(finding, "GitHub has not accepted the App");
        return doctor->app.name[0];
}

/* -- printing -- */

static void print_finding(const char *name, const struct finding *finding)
{
        printf("%-9s%-21s%s\n", result_names[finding->result], name, buf_string(&finding->text));
        if (finding->advice)
                printf("%9s-> %s\n", "", finding->advice);
        (void)fflush(stdout);
}

static void add_finding(cJSON *list, const char *name, const struct finding *finding)
{
        cJSON *item = cJSON_CreateObject();

        json_add_string(item, "name", name);
        json_add_string(item, "result", result_names[finding->result]);
        json_add_string(item, "text", buf_string(&finding->text));
        json_add_string(item, "advice", finding->advice);
        cJSON_AddItemToArray(list, item);
}

static void print_totals(const unsigned counts[static ARRAY_SIZE(result_names)])
{
        printf("%u ok, %u failed, %u skipped\n", counts[FINDING_OK], counts[FINDING_FAILED],
                counts[FINDING_SKIPPED]);
}

static void print_json(cJSON *list, const unsigned counts[static ARRAY_SIZE(result_names)])
{
        _cleanup_json_ cJSON *answer = cJSON_CreateObject();
        _cleanup_free_ char *text = NULL;

        for (size_t i = 0; i < ARRAY_SIZE(result_names); i++)
                json_add_integer(answer, result_names[i], counts[i]);
        cJSON_AddItemToObject(answer, "checks", list);
        text = json_print(answer);
        (void)puts(text);
}

/* -- the command -- */

static int run(struct doctor *doctor, bool json)
{
        unsigned counts[ARRAY_SIZE(result_names)] = {0};
        cJSON *list = json ? cJSON_CreateArray() : NULL;

        for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
                struct finding finding = {.text = BUF_INIT(TEXT_LIMIT)};

                checks[i].check(doctor, &finding);
                counts[finding.result]++;
                if (json)
                        add_finding(list, checks[i].name, &finding);
                else
                        print_finding(checks[i].name, &finding);
                buf_release(&finding.text);
        }
        if (json)
                print_json(list, counts);
        else
                print_totals(counts);
        return counts[FINDING_FAILED] > 0;
}

static void doctor_release(struct doctor *doctor)
{
        free(doctor->templates);
        github_installations_release(&doctor->installations);
        ec2_images_release(&doctor->images);
        ec2_subnets_release(&doctor->subnets);
        scaler_release(&doctor->scaler);
}

enum { OPTION_CONFIG, OPTION_PREFIX, OPTION_JSON, N_OPTIONS };

static int doctor_main(int argc, char *argv[])
{
        const char *values[N_OPTIONS] = {0};
        _cleanup_(doctor_release) struct doctor doctor = {0};
        int code = cli_parse(&doctor_command, argc, argv, values, NULL);

        scaler_init(&doctor.scaler);
        if (code != CLI_GO_ON)
                return code;
        if (values[OPTION_PREFIX] && values[OPTION_PREFIX][0] != '/')
                return cli_wrong(&doctor_command, "--prefix: it begins with a slash: /scale-agent");
        (void)signal(SIGPIPE, SIG_IGN);
        doctor.config_reference = values[OPTION_CONFIG];
        doctor.prefix = values[OPTION_PREFIX];
        return run(&doctor, values[OPTION_JSON]);
}

static const struct cli_option options[] = {
        [OPTION_CONFIG] = {"config", "FILE|ssm:/NAME",
                "the configuration (default: SCALE_AGENT_CONFIG, or ssm:PREFIX/config)", false},
        [OPTION_PREFIX] = {"prefix", "PREFIX",
                "where SSM parameters are (default: the configuration's, or /scale-agent)", false},
        [OPTION_JSON] = {"json", NULL, "print one JSON object", false},
        [N_OPTIONS] = {0},
};

static const struct cli_exit exits[] = {
        {0, "no check failed"},
        {1, "a check failed"},
        {2, "wrong usage"},
        {0},
};

const struct cli doctor_command = {
        .program = "scaler",
        .name = "doctor",
        .brief = "check a deployment from end to end, and say what to do",
        .text = "Checks a deployed or local configuration from end to end and changes nothing. "
                "Prints a line for each check (ok, failed, skipped), and what to do about it. "
                "Secrets come from GITHUB_WEBHOOK_SECRET, GITHUB_PRIVATE_KEY, GITHUB_TOKEN, "
                "GITHUB_APP_KEYS and GITHUB_ENTERPRISE_TOKEN, "
                "or else from the SSM parameters below PREFIX.\n"
                "Needs AWS_REGION and credentials in the environment: "
                "`aws configure export-credentials --format env` prints those of a profile.",
        .options = options,
        .exits = exits,
        .main = doctor_main,
};
