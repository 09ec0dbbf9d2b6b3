/* SPDX-License-Identifier: MIT */

/*
 * The runner's user and environment, prepared before the fork.
 */

#include "account.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "mem.h"

#define VARIABLE_LIMIT (64UL * 1024)

void account_release(struct account *account)
{
        free(account->name);
        free(account->home);
        free(account->shell);
}

int account_find(const char *user, struct account *ret, struct err *err)
{
        const struct passwd *entry;

        errno = 0;
        entry = getpwnam(user);
        if (!entry)
                return err_set(err, errno ? -errno : -ENOENT,
                        "there is no user \"%s\" (setting runner.user): %s", user,
                        errno ? strerror(errno) : "the image must create it");
        *ret = (struct account){
                .name = mem_string(entry->pw_name),
                .home = mem_string(entry->pw_dir),
                .shell = mem_string(entry->pw_shell),
                .uid = entry->pw_uid,
                .gid = entry->pw_gid,
                .is_other = entry->pw_uid != geteuid(),
                .n_groups = ACCOUNT_GROUPS_MAX,
        };
        if (getgrouplist(user, ret->gid, ret->groups, &ret->n_groups) < 0)
                ret->n_groups = ACCOUNT_GROUPS_MAX;
        return 0;
}

/* -- the environment ------------------------------------------------------------------------- */

void environment_release(struct environment *environment)
{
        for (size_t i = 0; i < environment->n; i++)
                mem_free_secret(environment->variables[i]);
}

static void add_variable(struct environment *environment, const char *name, const char *value)
{
        _cleanup_buf_ struct buf variable = BUF_INIT(VARIABLE_LIMIT);

        buf_add_string(&variable, name);
        buf_add_string(&variable, "=");
        buf_add_string(&variable, value);
        environment->variables[environment->n++] = buf_steal(&variable);
}

void environment_make(struct environment *ret, const struct account *account, const char *path,
        const char *jit_config)
{
        add_variable(ret, "PATH", path);
        add_variable(ret, "HOME", account->home);
        add_variable(ret, "USER", account->name);
        add_variable(ret, "LOGNAME", account->name);
        add_variable(ret, "SHELL", account->shell);
        add_variable(ret, "LANG", "C.UTF-8");
        add_variable(ret, "ACTIONS_RUNNER_INPUT_JITCONFIG", jit_config);
        if (account->uid == 0)
                add_variable(ret, "RUNNER_ALLOW_RUNASROOT", "1");
}
