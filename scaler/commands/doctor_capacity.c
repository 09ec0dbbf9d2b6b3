/* SPDX-License-Identifier: MIT */

/*
 * Doctor: capacity: whether the zones offer the instance types, and the account's spot quotas.
 */

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "doctor.h"
#include "job/ladder.h"

/* -- types -- */

/* The types that a ladder of SPEC may begin with: its own, and those that a job may name. */
static size_t count_types(const struct config_spec *spec)
{
        return 1 + spec->n_instance_types;
}

static const char *type_at(const struct config_spec *spec, size_t index)
{
        return index == 0 ? spec->instance_type : spec->instance_types[index - 1];
}

static const char *zone_of(const struct doctor *doctor, const char *subnet)
{
        for (size_t i = 0; i < doctor->subnets.count; i++)
                if (strcmp(doctor->subnets.items[i].id, subnet) == 0)
                        return doctor->subnets.items[i].zone;
        return NULL;
}

static bool is_offered(const struct ec2_offerings *offerings, const char *type, const char *zone)
{
        for (size_t i = 0; i < offerings->count; i++)
                if (strcmp(offerings->items[i].type, type) == 0 &&
                        strcmp(offerings->items[i].zone, zone) == 0)
                        return true;
        return false;
}

/* In how many subnets of SPEC EC2 offers TYPE. */
static size_t count_subnets(const struct doctor *doctor, const struct ec2_offerings *offerings,
        const struct config_spec *spec, const char *type)
{
        size_t count = 0;

        for (size_t i = 0; i < spec->n_subnets; i++) {
                const char *zone = zone_of(doctor, spec->subnets[i]);

                count += zone && is_offered(offerings, type, zone);
        }
        return count;
}

/* Asks once about all types of a ladder, in all zones of SPEC. */
static int read_offerings(struct doctor *doctor, const struct config_spec *spec,
        const struct ladder_rung *rungs, size_t n_rungs, struct ec2_offerings *ret, struct err *err)
{
        const char *types[LADDER_MAX];
        const char *zones[EC2_OFFERED_ZONES_MAX];
        _cleanup_(http_call_freep) struct http_call *call = NULL;
        size_t n_zones = 0;

        for (size_t i = 0; i < n_rungs; i++)
                types[i] = rungs[i].type;
        for (size_t i = 0; i < spec->n_subnets && n_zones < ARRAY_SIZE(zones); i++) {
                const char *zone = zone_of(doctor, spec->subnets[i]);

                if (zone)
                        zones[n_zones++] = zone;
        }
        call = scaler_call(&doctor->scaler,
                ec2_describe_offerings(doctor->aws, types, n_rungs, zones, n_zones));
        return ec2_describe_offerings_answer(call, ret, err);
}

static void judge_type(struct doctor *doctor, const struct config_spec *spec, const char *type,
        struct finding *finding)
{
        _cleanup_(ec2_offerings_release) struct ec2_offerings offerings = {0};
        struct ladder_rung rungs[LADDER_MAX];
        size_t n_rungs = ladder_build(type, rungs, LADDER_MAX);
        size_t n_offered = 0;
        size_t n_subnets;
        struct err err;

        if (read_offerings(doctor, spec, rungs, n_rungs, &offerings, &err) < 0) {
                finding_fail(finding, NULL, "spec %s: %s", spec->name, err.text);
                return;
        }
        for (size_t i = 0; i < n_rungs; i++)
                n_offered += count_subnets(doctor, &offerings, spec, rungs[i].type) > 0;
        n_subnets = count_subnets(doctor, &offerings, spec, type);
        if (n_subnets == 0)
                finding_fail(finding,
                        "choose another type, or subnets in other zones: "
                        "aws ec2 describe-instance-type-offerings "
                        "--location-type availability-zone",
                        "spec %s: no zone of its subnets offers %s", spec->name, type);
        else
                finding_say(finding,
                        "%s in %zu of %zu subnets, with %zu of %zu types of its ladder", type,
                        n_subnets, spec->n_subnets, n_offered, n_rungs);
}

static bool has_subnet(const struct doctor *doctor, const struct config_spec *spec)
{
        for (size_t i = 0; i < spec->n_subnets; i++)
                if (zone_of(doctor, spec->subnets[i]))
                        return true;
        return false;
}

void doctor_check_types(struct doctor *doctor, struct finding *finding)
{
        if (!doctor_has_aws(doctor, finding))
                return;
        if (doctor->subnets.count == 0)
                finding_skip(finding, "no subnet was found");
        for (size_t i = 0; i < doctor->config->n_specs; i++) {
                const struct config_spec *spec = &doctor->config->specs[i];

                for (size_t j = 0; j < count_types(spec) && has_subnet(doctor, spec); j++)
                        judge_type(doctor, spec, type_at(spec, j), finding);
        }
}

/* -- quota -- */

/* The spot quotas, in vCPUs, by the letters with which a family begins.
 * https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/using-spot-limits.html */
static const struct quota {
        const char *families; /* separated by blanks */
        const char *code;
        const char *name;
} quotas[] = {
        {"a c d h i im is m r t z", "L-34B43A08",
                "All Standard (A, C, D, H, I, M, R, T, Z) Spot Instance Requests"},
        {"dl", "L-85EED4F7", "All DL Spot Instance Requests"},
        {"f", "L-88CF9481", "All F Spot Instance Requests"},
        {"g gr vt", "L-3819A6DF", "All G and VT Spot Instance Requests"},
        {"inf", "L-B5D1601B", "All Inf Spot Instance Requests"},
        {"p", "L-7212CCBC", "All P Spot Instance Requests"},
        {"trn", "L-6B0D517C", "All Trn Spot Instance Requests"},
        {"x", "L-E3A00192", "All X Spot Instance Requests"},
};

static const struct quota *quota_of(const char *type)
{
        size_t size = strspn(type, "abcdefghijklmnopqrstuvwxyz");

        for (size_t i = 0; i < ARRAY_SIZE(quotas); i++)
                for (const char *word = quotas[i].families; *word; word += strspn(word, " ")) {
                        size_t length = strcspn(word, " ");

                        if (length == size && strncmp(word, type, size) == 0)
                                return &quotas[i];
                        word += length;
                }
        return NULL;
}

/* The vCPUs of TYPE, judged by its size; 0: the size does not say. */
static long vcpus_of(const char *type)
{
        const char *size = strchr(type, '.');
        char *end;
        long count;

        if (!size)
                return 0;
        size++;
        if (strncmp(size, "metal-", 6) == 0)
                size += 6;
        count = strtol(size, &end, 10);
        if (end != size)
                return strncmp(end, "xl", 2) == 0 ? 4 * count : 0;
        if (strcmp(size, "xlarge") == 0)
                return 4;
        return strcmp(size, "medium") == 0 ? 1 : strncmp(size, "metal", 5) == 0 ? 0 : 2;
}

/* A limit that the quota keeps from being reached is no fault, and no use either. */
static void say_limits(const struct config *config, const struct quota *quota, double value,
        struct finding *finding)
{
        for (size_t i = 0; i < config->n_specs; i++) {
                const struct config_spec *spec = &config->specs[i];
                long each = vcpus_of(spec->instance_type);

                if (quota_of(spec->instance_type) == quota && each > 0 &&
                        (double)spec->max_machines * (double)each > value)
                        finding_say(finding,
                                "max_machines of spec %s is %lld, and the quota allows %.0f",
                                spec->name, (long long)spec->max_machines, value / (double)each);
        }
}

static void judge_quota(
        struct doctor *doctor, const struct quota *quota, const char *type, struct finding *finding)
{
        _cleanup_(http_call_freep) struct http_call *call =
                scaler_call(&doctor->scaler, quotas_get(doctor->aws, "ec2", quota->code));
        long needed = vcpus_of(type);
        struct err err;
        double value;
        int r;

        r = quotas_get_answer(call, &value, &err);
        if (r == QUOTAS_NOT_FOUND)
                finding_say(finding, "AWS has no value for %s (%s)", quota->name, quota->code);
        else if (r < 0)
                finding_fail(finding, NULL, "%s: %s", quota->code, err.text);
        else if (value < (double)needed || value < 1)
                finding_fail(finding,
                        "request a higher quota: "
                        "aws service-quotas request-service-quota-increase "
                        "--service-code ec2 --quota-code CODE --desired-value VCPUS",
                        "%s (%s): %.0f vCPUs, and one %s has %ld", quota->name, quota->code, value,
                        type, needed);
        else if (needed > 0)
                finding_say(finding, "%s (%s): %.0f vCPUs, %.0f %s at a time", quota->name,
                        quota->code, value, value / (double)needed, type);
        else
                finding_say(finding, "%s (%s): %.0f vCPUs", quota->name, quota->code, value);
        if (r == 0)
                say_limits(doctor->config, quota, value, finding);
}

/* Each quota is checked once, with the largest type that it covers. */
static const char *largest_type(const struct config *config, const struct quota *quota)
{
        const char *largest = NULL;

        for (size_t i = 0; i < config->n_specs; i++)
                for (size_t j = 0; j < count_types(&config->specs[i]); j++) {
                        const char *type = type_at(&config->specs[i], j);

                        if (quota_of(type) != quota)
                                continue;
                        if (!largest || vcpus_of(type) > vcpus_of(largest))
                                largest = type;
                }
        return largest;
}

void doctor_check_quota(struct doctor *doctor, struct finding *finding)
{
        if (!doctor_has_aws(doctor, finding))
                return;
        for (size_t i = 0; i < ARRAY_SIZE(quotas); i++) {
                const char *type = largest_type(doctor->config, &quotas[i]);

                if (type)
                        judge_quota(doctor, &quotas[i], type, finding);
        }
        if (finding->text.size == 0)
                finding_skip(finding, "no quota is known for these types");
}
