/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * EC2's error codes, and what they ask of whoever launches.
 */

/* What an error of RunInstances asks the caller to do. */
enum ec2_error_class {
        EC2_ERROR_FATAL,       /* wrong parameters or permissions: trying elsewhere does not help */
        EC2_ERROR_UNKNOWN,     /* not in the table: another offer may help */
        EC2_ERROR_CAPACITY,    /* another type, or another zone */
        EC2_ERROR_TYPE,        /* this type, in whatever subnet, cannot be launched so */
        EC2_ERROR_SUBNET,      /* no free address: another subnet, the same type */
        EC2_ERROR_NO_SUBNET,   /* there is no such subnet: people must hear of it */
        EC2_ERROR_QUOTA,       /* the account's limit: no sibling helps; on demand, or wait */
        EC2_ERROR_THROTTLED,   /* nothing was launched: the same call again */
        EC2_ERROR_UNSURE,      /* EC2 failed, maybe after launching: the same call with the same
                                  token, and then look for the instances before any other */
        EC2_ERROR_TOKEN_ENDED, /* the client token's instances are gone: another token */
        EC2_ERROR_TOKEN_OTHER, /* the client token was used with other parameters: look for its
                                  instances */
};

/* From the table of codes in ec2_errors.c. Pure. */
enum ec2_error_class ec2_classify(const char *code);
