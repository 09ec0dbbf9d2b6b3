/* SPDX-License-Identifier: MIT */

/*
 * The configuration: every field is read, and every fault is reported with its place and a remedy.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "config/config.h"
#include "config_text.h"
#include "unit.h"

static struct config_faults parse_faults(const char *text)
{
        _cleanup_free_ char *document = config_text(text);
        struct config_faults faults = {0};
        struct config *config = NULL;

        assert_int_equal(config_parse(document, strlen(document), &config, &faults, NULL), -EINVAL);
        assert_null(config);
        assert_true(faults.count > 0);
        return faults;
}

/* TEXT has exactly one fault, at PATH, and its text contains WORDS. */
static void assert_fault(const char *text, const char *path, const char *words)
{
        _cleanup_(config_faults_release) struct config_faults faults = parse_faults(text);

        if (strcmp(faults.items[0].path, path) != 0 || !strstr(faults.items[0].text, words))
                fail_msg("%s\n%s: %s\ninstead of\n%s: %s", text, faults.items[0].path,
                        faults.items[0].text, path, words);
        if (faults.count != 1)
                fail_msg("%s\nalso %s: %s", text, faults.items[1].path, faults.items[1].text);
}

/* -- reading -- */

static void test_defaults(void **state)
{
        _cleanup_(config_freep) struct config *config = config_of(CONFIG_OF("{" CONFIG_SPEC "}"));
        const struct config_spec *spec = &config->specs[0];

        (void)state;
        assert_string_equal(config->prefix, "/scale-agent");
        assert_null(config->app_id);
        assert_int_equal(config->n_installations, 0);
        assert_int_equal(config->n_repositories, 2);
        assert_int_equal(config->n_specs, 1);
        assert_false(spec->unlabelled);
        assert_false(spec->shared_labels);
        assert_null(spec->organization);
        assert_int_equal(spec->runner_group_id, 1);
        assert_int_equal(spec->n_instance_types, 0);
        assert_string_equal(spec->launch_template_version, "$Default");
        assert_string_equal(spec->allocation, "ladder");
        assert_false(config_spec_uses_fleet(spec));
        assert_false(spec->on_demand_fallback);
        assert_string_equal(spec->rerun, "default");
        assert_int_equal(spec->max_reruns, 1);
        assert_string_equal(spec->fork_pull_requests, "refuse");
        assert_false(spec->terminate_on_completed);
        assert_int_equal(spec->idle_limit_seconds, 300);
        assert_int_equal(spec->job_limit_seconds, 21600);
        assert_int_equal(spec->n_tags, 0);
}

static void test_every_field_is_read(void **state)
{
        _cleanup_(config_freep) struct config *config = config_of(
                "{'$schema':'x','prefix':'/ci/runners',"
                "'github':{'app_id':12345,'additional_apps':[7,8],"
                "'installations':[4711,9007199254740991],'repositories':['Octo-Org/*']},"
                "'specs':[{'name':'arm','labels':['self-hosted','arm64'],'unlabelled':true,'shared_"
                "labels':true,"
                "'organization':'octo-org',"
                "'runner_group_id':7,'instance_type':'m7g.large','instance_types':['m7g.xlarge',"
                "'c7g.xlarge'],'launch_template':'lt-0abc','launch_template_version':3,"
                "'subnets':['subnet-0a','subnet-0b'],'on_demand_fallback':true,"
                "'allocation':'capacity-optimized-prioritized',"
                "'rerun':'on-demand','max_reruns':3,'fork_pull_requests':'allow',"
                "'terminate_on_completed':true,'idle_limit_seconds':30,'job_limit_seconds':432000,"
                "'tags':{'team':'ci','empty':''}}]}");
        const struct config_spec *spec = &config->specs[0];

        (void)state;
        assert_string_equal(config->prefix, "/ci/runners");
        assert_string_equal(config->app_id, "12345");
        assert_int_equal(config->n_additional_apps, 2);
        assert_true(config_has_additional_app(config, "8"));
        assert_false(config_has_additional_app(config, "12345"));
        assert_false(config_has_enterprise(config));
        assert_int_equal(config->n_installations, 2);
        assert_true(config->installations[1] == INT64_C(9007199254740991));
        assert_string_equal(config->repositories[0], "Octo-Org/*");
        assert_string_equal(spec->name, "arm");
        assert_int_equal(spec->n_labels, 2);
        assert_string_equal(spec->labels[1], "arm64");
        assert_true(spec->unlabelled);
        assert_true(spec->shared_labels);
        assert_string_equal(spec->organization, "octo-org");
        assert_int_equal(spec->runner_group_id, 7);
        assert_string_equal(spec->instance_type, "m7g.large");
        assert_int_equal(spec->n_instance_types, 2);
        assert_string_equal(spec->instance_types[1], "c7g.xlarge");
        assert_string_equal(spec->launch_template, "lt-0abc");
        assert_string_equal(spec->launch_template_version, "3");
        assert_int_equal(spec->n_subnets, 2);
        assert_string_equal(spec->subnets[1], "subnet-0b");
        assert_string_equal(spec->allocation, "capacity-optimized-prioritized");
        assert_true(config_spec_uses_fleet(spec));
        assert_true(spec->on_demand_fallback);
        assert_string_equal(spec->rerun, "on-demand");
        assert_int_equal(spec->max_reruns, 3);
        assert_string_equal(spec->fork_pull_requests, "allow");
        assert_true(spec->terminate_on_completed);
        assert_int_equal(spec->idle_limit_seconds, 30);
        assert_int_equal(spec->job_limit_seconds, 432000);
        assert_int_equal(spec->n_tags, 2);
        assert_string_equal(spec->tags[0].key, "team");
        assert_string_equal(spec->tags[0].value, "ci");
        assert_string_equal(spec->tags[1].value, "");
}

static void test_an_enterprise_has_runner_groups(void **state)
{
        _cleanup_(config_freep) struct config *config =
                config_of(CONFIG_OF("{" CONFIG_SPEC ",'enterprise':'octo','runner_group_id':7}"));

        (void)state;
        assert_string_equal(config->specs[0].enterprise, "octo");
        assert_int_equal(config->specs[0].runner_group_id, 7);
        assert_true(config_has_enterprise(config));
}

/* -- refusing -- */

static void test_all_faults_are_collected(void **state)
{
        static const char *const paths[] = {"prefix", "github.app_id", "github.repositories",
                "specs[0].labels", "specs[0].subnets", "specs[0].idle_limit_seconds",
                "specs[0].tags[\"aws:x\"]", "specs[1]", "specs[2].name", "surprise",
                "specs[3].name"};
        _cleanup_(config_faults_release) struct config_faults faults = parse_faults(
                "{'prefix':'no','surprise':1,'github':{'app_id':true,'repositories':'all'},"
                "'specs':[{'name':'a','labels':[],'instance_type':'m7i.large',"
                "'launch_template':'runner','idle_limit_seconds':1e3000,'tags':{'aws:x':'1'}},7,"
                "{'name':null,'labels':['x'],'instance_type':'m7i.large','launch_template':'abc',"
                "'subnets':['subnet-1']},{'name':'a','labels':['y'],'instance_type':'m7i.large',"
                "'launch_template':'abc','subnets':['subnet-1']}]}");

        (void)state;
        assert_int_equal(faults.count, ARRAY_SIZE(paths));
        for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
                assert_string_equal(faults.items[i].path, paths[i]);
}

#define WITH_APPS(apps) \
        "{'github':{'repositories':['octo-org/*']," apps "},'specs':[{" CONFIG_SPEC "}]}"

static void test_words(void **state)
{
        static const struct {
                const char *text;
                const char *path;
                const char *words;
        } cases[] = {
                {"[]", "", "an object is needed, found an empty list"},
                {"{'specs':[{" CONFIG_SPEC "}]}", "github", "an object is needed, found nothing"},
                {"{" CONFIG_GITHUB "}", "specs", "a list of specs is needed, found nothing"},
                {"{" CONFIG_GITHUB ",'specs':[]}", "specs", "at least one spec is needed"},
                {CONFIG_OF("{" CONFIG_SPEC ",'idle_limit_seconds':29}"),
                        "specs[0].idle_limit_seconds",
                        "a whole number from 30 to 3600 is needed, found 29"},
                {CONFIG_OF("{" CONFIG_SPEC ",'idle_limit_seconds':30.5}"),
                        "specs[0].idle_limit_seconds", "found 30.5"},
                {CONFIG_OF("{" CONFIG_SPEC ",'idle_limit_seconds':'60'}"),
                        "specs[0].idle_limit_seconds", "found \"60\""},
                {CONFIG_OF("{" CONFIG_SPEC ",'job_limit_seconds':99999999999999999999}"),
                        "specs[0].job_limit_seconds", "a whole number from 60 to 432000 is needed"},
                {CONFIG_OF("{" CONFIG_SPEC ",'on_demand_fallback':0}"),
                        "specs[0].on_demand_fallback", "true or false is needed, found 0"},
                {CONFIG_OF("{" CONFIG_SPEC ",'organization':null}"), "specs[0].organization",
                        "found null"},
                {CONFIG_OF("{" CONFIG_SPEC ",'tags':['team']}"), "specs[0].tags",
                        "an object of tags is needed, found a list"},
                {CONFIG_OF("{" CONFIG_SPEC ",'tags':{'a':'1','a':'2'}}"), "specs[0].tags.a",
                        "given twice"},
                {CONFIG_OF("{" CONFIG_SPEC ",'name':'other'}"), "specs[0].name", "given twice"},
                {CONFIG_OF("{" CONFIG_SPEC
                           ",'shared_labels':true,'instance_types':['m7i.large','m7i.large']}"),
                        "specs[0].instance_types[1]", "the same instance type is at [0] already"},
                {CONFIG_OF("{" CONFIG_SPEC
                           ",'shared_labels':true,'instance_types':['c7i.large','m7g.large']}"),
                        "specs[0].instance_types[1]",
                        "same architecture as m7i.large (x86) is needed, found m7g.large (arm64)"},
                {CONFIG_OF("{" CONFIG_SPEC ",'rerun':'on-demand'}"), "specs[0].rerun",
                        "\"on-demand\" needs \"on_demand_fallback\": true"},
                {CONFIG_OF("{" CONFIG_SPEC ",'runner_group_id':2}"), "specs[0].runner_group_id",
                        "1 is needed without an organization or enterprise"},
                {CONFIG_OF("{" CONFIG_SPEC ",'enterprise':'a b'}"), "specs[0].enterprise",
                        "an enterprise's slug"},
                {CONFIG_OF("{" CONFIG_SPEC ",'enterprise':'e','organization':'octo-org'}"),
                        "specs[0].enterprise", "one of the two must go"},
                {WITH_APPS("'app_id':1,'additional_apps':[2,1]"), "github.additional_apps[1]",
                        "another App than app_id is needed"},
                {WITH_APPS("'app_id':'1','additional_apps':[1]"), "github.additional_apps[0]",
                        "another App than app_id is needed"},
                {WITH_APPS("'app_id':1,'additional_apps':[2,2]"), "github.additional_apps[1]",
                        "the same App is at [0] already"},
                {WITH_APPS("'app_id':1,'additional_apps':[2,3,4,5,6,7,8,9,10,11]"),
                        "github.additional_apps",
                        "at most 9 additional Apps are allowed, found 10"},
                {WITH_APPS("'app_id':1,'additional_apps':['2']"), "github.additional_apps[0]",
                        "a whole number from 1"},
                {WITH_APPS("'additional_apps':[2]"), "github.additional_apps",
                        "app_id is needed, too"},
                {CONFIG_OF("{" CONFIG_SPEC ",'organization':'octo'}"), "specs[0].organization",
                        "an owner of one of github.repositories is needed, found \"octo\""},
                {CONFIG_OF("{" CONFIG_SPEC ",'shared_labels':true},{" CONFIG_SPEC "}"),
                        "specs[1].name", "specs[0] is called linux"},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                assert_fault(cases[i].text, cases[i].path, cases[i].words);
}

/* Specs of different names with LABELS, and MORE. */
#define SPEC_WITH(name, labels, more)                                               \
        "{'name':'" name "','labels':[" labels "],'instance_type':'m7i.large'" more \
        ",'launch_template':'abc','subnets':['subnet-1']}"

static void test_labels_of_its_own(void **state)
{
        static const struct {
                const char *text;
                const char *path; /* NULL: no fault */
                const char *words;
        } cases[] = {
                {CONFIG_OF(SPEC_WITH("a", "'l','x'", "") "," SPEC_WITH("b", "'l','y'", "")), NULL,
                        NULL},
                {CONFIG_OF(SPEC_WITH("a", "'l'", "") "," SPEC_WITH("b", "'L','gpu'", "")),
                        "specs[1].labels",
                        "jobs for a (specs[0]) would take machines of b (specs[1]): GitHub gives a "
                        "job to any runner that has all of its labels. Give each a label that the "
                        "other lacks, or set \"shared_labels\" to true if this is meant"},
                {CONFIG_OF(SPEC_WITH("a", "'l','gpu'", "") "," SPEC_WITH("b", "'l'", "")),
                        "specs[1].labels",
                        "jobs for b (specs[1]) would take machines of a (specs[0])"},
                {CONFIG_OF(SPEC_WITH("a", "'l','x'", "") "," SPEC_WITH("b", "'X','l'", "")),
                        "specs[1].labels",
                        "jobs for a (specs[0]) and b (specs[1]) would take each other's machines"},
                /* The runner has its type as a label. */
                {CONFIG_OF(SPEC_WITH("a", "'l','m7i.large'", "") "," SPEC_WITH("b", "'l','y'", "")),
                        "specs[1].labels", "jobs for a (specs[0]) would take machines of b"},
                {CONFIG_OF(SPEC_WITH("a", "'l'", ",'instance_types':['m7i.large']")), NULL, NULL},
                {CONFIG_OF(SPEC_WITH("a", "'l'", ",'instance_types':['c7i.large']")),
                        "specs[0].instance_types",
                        "jobs that name no type would take the machines of those that do"},
                {CONFIG_OF(SPEC_WITH(
                         "a", "'l'", ",'instance_types':['c7i.large'],'shared_labels':true")),
                        NULL, NULL},
                {CONFIG_OF(SPEC_WITH("a", "'l'", ",'shared_labels':true") "," SPEC_WITH(
                         "b", "'l','gpu'", "")),
                        NULL, NULL},
                {CONFIG_OF(SPEC_WITH("a", "'l'", "") "," SPEC_WITH(
                         "b", "'l','gpu'", ",'shared_labels':true")),
                        NULL, NULL},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                if (cases[i].path)
                        assert_fault(cases[i].text, cases[i].path, cases[i].words);
                else
                        config_free(config_of(cases[i].text));
        }
}

static void test_suggestions(void **state)
{
        static const struct {
                const char *key;
                const char *words;
        } cases[] = {
                {"idle_limit_second", "unknown; did you mean idle_limit_seconds?"},
                {"idleLimitSeconds", "unknown; did you mean idle_limit_seconds?"},
                {"job_limits_seconds", "unknown; did you mean job_limit_seconds?"},
                {"launchTemplateVersions", "unknown; did you mean launch_template_version?"},
                {"job_timeout_seconds", "unknown; did you mean job_limit_seconds?"},
                {"lables", "unknown; did you mean labels?"},
                {"INSTANCE_TYPE", "unknown; did you mean instance_type?"},
                {"instance-type", "unknown; did you mean instance_type?"},
                {"runner_group", "unknown; did you mean runner_group_id?"},
                {"tag", "unknown; did you mean tags?"},
                {"color", "unknown; known here are name, labels, shared_labels,"},
                {"tables", "unknown; known here are name"},
                {"x", "unknown; known here are name"},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_free_ char *text =
                        mem_format(CONFIG_OF("{%s,'%s':1}"), CONFIG_SPEC, cases[i].key);
                _cleanup_free_ char *path = mem_format("specs[0].%s", cases[i].key);

                assert_fault(text, path, cases[i].words);
        }
}

static void test_suggestions_for_prefixes(void **state)
{
        (void)state;
        assert_fault("{'github':{'repositories':['o/*'],'repos':[]},'specs':[{" CONFIG_SPEC "}]}",
                "github.repos", "unknown; did you mean repositories?");
        assert_fault("{'github':{'repositories':['o/*'],'app':1},'specs':[{" CONFIG_SPEC "}]}",
                "github.app",
                "unknown; known here are app_id, additional_apps, installations, repositories");
}

static void test_what_is_shown_is_safe(void **state)
{
        _cleanup_free_ char *text = NULL;
        char name[200];

        (void)state;
        assert_fault(
                CONFIG_OF("{" CONFIG_SPEC ",'a\\u001b[2J':1}"), "specs[0][\"a?[2J\"]", "unknown");
        /* The name is cut before the é, whose two bytes stay together. */
        memset(name, 'a', 59);
        memcpy(name + 59, "\xc3\xa9 and more", sizeof("\xc3\xa9 and more"));
        text = mem_format(CONFIG_OF("{%s,'%s':1}"), CONFIG_SPEC, name);
        name[59] = '\0';
        {
                _cleanup_free_ char *path = mem_format("specs[0][\"%s\xe2\x80\xa6\"]", name);

                assert_fault(text, path, "unknown");
        }
}

static void test_not_json(void **state)
{
        static const struct {
                const char *text;
                const char *words;
        } cases[] = {
                {"", "is empty"},
                {"{'a':1,\n 'b': tru}", "(line 2, column 7)"},
                {"{} {}", "something after its JSON value"},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                assert_fault(cases[i].text, "", cases[i].words);
}

/* The parser's position would mislead here: it never should have seen this text. */
static void test_not_utf8(void **state)
{
        _cleanup_(config_faults_release) struct config_faults faults =
                parse_faults("{'a':1,\n 'b': '\xff'}");

        (void)state;
        assert_int_equal(faults.count, 1);
        assert_string_equal(faults.items[0].path, "");
        assert_string_equal(faults.items[0].text, "the configuration is not UTF-8");
}

static void test_faults_are_bounded(void **state)
{
        _cleanup_buf_ struct buf text = BUF_INIT(1 << 20);
        _cleanup_(config_faults_release) struct config_faults faults = {0};

        (void)state;
        (void)buf_add_string(&text, "{");
        for (int i = 0; i < 50000; i++)
                (void)buf_add_format(&text, "%s\"key %d\":0", i > 0 ? "," : "", i);
        (void)buf_add_string(&text, "}");
        faults = parse_faults(buf_string(&text));
        assert_int_equal(faults.count, CONFIG_FAULTS_MAX);
}

static void test_err_names_the_first_fault(void **state)
{
        struct config *config = (struct config *)"untouched";
        struct err err = {0};

        (void)state;
        assert_int_equal(config_parse("{\"specs\":[]}", 12, &config, NULL, &err), -EINVAL);
        assert_string_equal((const char *)config, "untouched");
        assert_string_equal(err.text, "configuration: github: an object is needed, found nothing "
                                      "(`scaler check` lists all faults: 2)");
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_defaults),
                cmocka_unit_test(test_every_field_is_read),
                cmocka_unit_test(test_an_enterprise_has_runner_groups),
                cmocka_unit_test(test_all_faults_are_collected),
                cmocka_unit_test(test_words),
                cmocka_unit_test(test_labels_of_its_own),
                cmocka_unit_test(test_suggestions),
                cmocka_unit_test(test_suggestions_for_prefixes),
                cmocka_unit_test(test_what_is_shown_is_safe),
                cmocka_unit_test(test_not_json),
                cmocka_unit_test(test_not_utf8),
                cmocka_unit_test(test_faults_are_bounded),
                cmocka_unit_test(test_err_names_the_first_fault),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
