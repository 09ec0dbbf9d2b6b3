/* SPDX-License-Identifier: MIT */

/*
 * Scopes: to whom a runner belongs, as a path of GitHub's API: repos/OWNER/REPO, orgs/ORG or
 * enterprises/ENTERPRISE.
 */

#include <ctype.h>
#include <string.h>

#include "call.h"

/* Whether NAME, up to END, may be a login or a repository's name, and is not "." or "..". */
static bool is_name(const char *name, const char *end)
{
        size_t size = (size_t)(end - name);

        if (size == 0 || size > 100 || strspn(name, ".") >= size)
                return false;
        for (; name < end; name++)
                if (!isalnum((unsigned char)*name) && !strchr("-_.", *name))
                        return false;
        return true;
}

bool github_is_enterprise(const char *scope)
{
        return strncmp(scope, "enterprises/", strlen("enterprises/")) == 0;
}

bool github_is_scope(const char *scope)
{
        const char *end = scope + strlen(scope);
        const char *slash;

        if (strncmp(scope, "orgs/", 5) == 0)
                return is_name(scope + 5, end);
        if (github_is_enterprise(scope))
                return is_name(scope + strlen("enterprises/"), end);
        if (strncmp(scope, "repos/", 6) != 0)
                return false;
        slash = strchr(scope + 6, '/');
        return slash && is_name(scope + 6, slash) && is_name(slash + 1, end);
}

const char *github_scope_token(const struct github *github, int64_t installation, const char *scope)
{
        return github_is_enterprise(scope) ? github->enterprise_token
                                           : github_any_token(github, installation);
}
