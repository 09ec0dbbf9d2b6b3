/* SPDX-License-Identifier: MIT */

/*
 * Questions to the configuration: only configured repositories and installations are accepted, and
 * a job gets the first spec that has all of its labels.
 */

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "config/config.h"
#include "config_text.h"
#include "unit.h"

static void test_repositories(void **state)
{
        _cleanup_(config_freep) struct config *config = config_of(CONFIG_OF("{" CONFIG_SPEC "}"));

        (void)state;
        assert_true(config_allows_repository(config, "octo-org/hello"));
        assert_true(config_allows_repository(config, "OCTO-ORG/Hello.World_1-2"));
        assert_true(config_allows_repository(config, "friends/ONE"));
        assert_false(config_allows_repository(config, "friends/one2"));
        assert_false(config_allows_repository(config, "friends/on"));
        assert_false(config_allows_repository(config, "octo-org2/hello"));
        assert_false(config_allows_repository(config, "octo-or/hello"));
        assert_false(config_allows_repository(config, "octo-org/"));
        assert_false(config_allows_repository(config, "octo-org/*"));
        assert_false(config_allows_repository(config, "octo-org/.."));
        assert_false(config_allows_repository(config, "octo-org/a/b"));
        assert_false(config_allows_repository(config, "octo-org"));
        assert_false(config_allows_repository(config, ""));
}

static void test_installations(void **state)
{
        _cleanup_(config_freep) struct config *any = config_of(CONFIG_OF("{" CONFIG_SPEC "}"));
        _cleanup_(config_freep) struct config *two = config_of(
                "{'github':{'repositories':['o/*'],'installations':[7,8]},'specs':[{" CONFIG_SPEC
                "}]}");

        (void)state;
        assert_true(config_allows_installation(any, 7));
        assert_true(config_allows_installation(any, 0));
        assert_true(config_allows_installation(two, 8));
        assert_false(config_allows_installation(two, 9));
        assert_false(config_allows_installation(two, 0));
}

/* Three specs that share labels on purpose: the first two offer the same ones. */
static const char three_specs[] = CONFIG_OF(
        "{'name':'small','labels':['self-hosted','Linux','x64'],'instance_type':'m7i.large',"
        "'instance_types':['m7i.2xlarge'],'shared_labels':true,'launch_template':'abc','subnets':['"
        "subnet-1']},"
        "{'name':'large','labels':['self-hosted','Linux','x64'],'instance_type':'m7i.8xlarge',"
        "'instance_types':['m7i.2xlarge','c7i.4xlarge'],'launch_template':'abc',"
        "'subnets':['subnet-1'],'unlabelled':true,'shared_labels':true},"
        "{'name':'gpu','labels':['self-hosted','linux','x64','gpu','g5.xlarge'],"
        "'instance_type':'g6.xlarge','launch_template':'abc','subnets':['subnet-1']}");

static void test_match(void **state)
{
        static const struct {
                const char *labels[4];
                const char *spec; /* NULL: none */
                const char *type;
        } cases[] = {
                {{"self-hosted", "linux", "x64"}, "small", "m7i.large"},
                {{"SELF-HOSTED", "X64"}, "small", "m7i.large"},
                {{"linux"}, "small", "m7i.large"},
                {{NULL}, "large", "m7i.8xlarge"},
                {{"linux", "linux"}, "small", "m7i.large"},
                {{"self-hosted", "gpu"}, "gpu", "g6.xlarge"},
                {{"self-hosted", "windows"}, NULL, NULL},
                {{"ubuntu-latest"}, NULL, NULL},
                {{"linux", ""}, NULL, NULL},
                /* An instance type as a label selects the first spec that allows it. */
                {{"linux", "m7i.2xlarge"}, "small", "m7i.2xlarge"},
                {{"linux", "M7I.2XLARGE"}, "small", "m7i.2xlarge"},
                {{"m7i.large", "linux"}, "small", "m7i.large"},
                {{"linux", "c7i.4xlarge"}, "large", "c7i.4xlarge"},
                {{"linux", "m7i.8xlarge"}, "large", "m7i.8xlarge"},
                {{"m7i.2xlarge", "gpu"}, NULL, NULL},
                {{"linux", "m7i.4xlarge"}, NULL, NULL},
                /* A type that is merely one of the spec's labels does not change the machine. */
                {{"linux", "g5.xlarge"}, "gpu", "g6.xlarge"},
                /* No machine has two types. */
                {{"linux", "m7i.2xlarge", "c7i.4xlarge"}, NULL, NULL},
                {{"linux", "c7i.4xlarge", "C7i.4xlarge"}, "large", "c7i.4xlarge"},
                /* A job's own label matches any spec, and is not enough for one. */
                {{"linux", "run-77-0"}, "small", "m7i.large"},
                {{"RUN-77-0", "gpu"}, "gpu", "g6.xlarge"},
                {{"linux", "run-77-0", "c7i.4xlarge"}, "large", "c7i.4xlarge"},
                {{"run-77-0"}, "large", "m7i.8xlarge"},
                {{"run-77-0", "windows"}, NULL, NULL},
                {{"linux", "runs-77"}, NULL, NULL},
        };
        _cleanup_(config_freep) struct config *config = config_of(three_specs);

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                const struct config_spec *spec;
                const char *type = "untouched";
                size_t n = 0;

                while (n < ARRAY_SIZE(cases[i].labels) && cases[i].labels[n])
                        n++;
                spec = config_match(config, cases[i].labels, n, &type);
                if (!cases[i].spec) {
                        assert_null(spec);
                        assert_string_equal(type, "untouched");
                        continue;
                }
                assert_non_null(spec);
                assert_string_equal(spec->name, cases[i].spec);
                assert_string_equal(type, cases[i].type);
        }
}

static void test_spec_by_name(void **state)
{
        _cleanup_(config_freep) struct config *config = config_of(three_specs);

        (void)state;
        assert_ptr_equal(config_spec_by_name(config, "gpu"), &config->specs[2]);
        assert_null(config_spec_by_name(config, "GPU"));
        assert_null(config_spec_by_name(config, ""));
}

static void test_a_renamed_spec_is_found_by_labels(void **state)
{
        static const char *const labels[] = {"linux", "c7i.4xlarge", "run-1"};
        static const char *const windows[] = {"windows"};
        _cleanup_(config_freep) struct config *config = config_of(three_specs);
        const char *type = "m7i.2xlarge";

        (void)state;
        assert_ptr_equal(config_rematch(config, "small", labels, 3, &type), &config->specs[0]);
        assert_string_equal(type, "m7i.2xlarge");
        assert_null(config_rematch(config, "gone", windows, 1, &type));
        assert_string_equal(type, "m7i.2xlarge");
        assert_ptr_equal(config_rematch(config, "gone", labels, 3, &type), &config->specs[1]);
        assert_string_equal(type, "c7i.4xlarge");
        assert_ptr_equal(config_rematch(config, NULL, labels, 1, &type), &config->specs[0]);
        assert_string_equal(type, "m7i.large");
        type = NULL;
        assert_ptr_equal(config_rematch(config, "gpu", NULL, 0, &type), &config->specs[2]);
        assert_string_equal(type, "g6.xlarge");
}

static void test_a_job_has_one_label_of_its_own(void **state)
{
        static const struct {
                const char *labels[4];
                const char *label; /* NULL: none */
                const char *words; /* of the refusal */
        } cases[] = {
                {{"linux"}, NULL, NULL},
                {{"linux", "run-1-0"}, "run-1-0", NULL},
                {{"Run-a.b_C-1", "linux"}, "Run-a.b_C-1", NULL},
                {{"run-1", "RUN-1"}, "RUN-1", NULL},
                {{"run-1", "linux", "run-2"}, NULL, "more than one label"},
                {{"run-"}, NULL, "\"run-\" must be \"run-\" and letters"},
                {{"run-a b"}, NULL, "\"run-a b\" must be"},
                {{"run-a,b"}, NULL, "must be"},
                {{"run-\xc3\xa9"}, NULL, "must be"},
        };
        char longest[CONFIG_RUN_LABEL_MAX + 2] = "run-";
        const char *const labels[] = {longest};
        const char *found;
        struct err err;

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                size_t n = 0;
                int r;

                found = "untouched";
                while (n < ARRAY_SIZE(cases[i].labels) && cases[i].labels[n])
                        n++;
                r = config_run_label(cases[i].labels, n, &found, &err);
                assert_int_equal(r, cases[i].words ? -EINVAL : 0);
                if (cases[i].words)
                        assert_contains(err.text, cases[i].words);
                else if (cases[i].label)
                        assert_string_equal(found, cases[i].label);
                else
                        assert_null(found);
        }
        memset(longest + 4, '1', CONFIG_RUN_LABEL_MAX - 4);
        assert_int_equal(config_run_label(labels, 1, &found, &err), 0);
        longest[CONFIG_RUN_LABEL_MAX] = '1';
        assert_int_equal(config_run_label(labels, 1, &found, &err), -EINVAL);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_repositories),
                cmocka_unit_test(test_installations),
                cmocka_unit_test(test_match),
                cmocka_unit_test(test_spec_by_name),
                cmocka_unit_test(test_a_renamed_spec_is_found_by_labels),
                cmocka_unit_test(test_a_job_has_one_label_of_its_own),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
