/* SPDX-License-Identifier: MIT */

/*
 * Questions to the configuration: only configured repositories and installations are accepted, and
 * a job gets the first spec that has all of its labels.
 */

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

/* Three specs, of which the first two offer the same labels. */
static const char three_specs[] = CONFIG_OF(
        "{'name':'small','labels':['self-hosted','Linux','x64'],'instance_type':'m7i.large',"
        "'instance_types':['m7i.2xlarge'],'launch_template':'abc','subnets':['subnet-1']},"
        "{'name':'large','labels':['self-hosted','Linux','x64'],'instance_type':'m7i.8xlarge',"
        "'instance_types':['m7i.2xlarge','c7i.4xlarge'],'launch_template':'abc',"
        "'subnets':['subnet-1'],'unlabelled':true},"
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

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_repositories),
                cmocka_unit_test(test_installations),
                cmocka_unit_test(test_match),
                cmocka_unit_test(test_spec_by_name),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
