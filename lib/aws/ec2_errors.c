/* SPDX-License-Identifier: MIT */

/*
 * The table of EC2's error codes. scaler/job/launch_ladder.c and launch_fleet_errors.c say what
 * follows from each class.
 */

#include "aws/ec2_errors.h"

#include <stddef.h>
#include <string.h>

#include "base/mem.h"

struct code_class {
        const char *code; /* a star at its end stands for any further characters */
        enum ec2_error_class class;
};

/* The first that matches counts.
 * https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html */
static const struct code_class classes[] = {
        {"InsufficientInstanceCapacity", EC2_ERROR_CAPACITY},
        {"InsufficientCapacity", EC2_ERROR_CAPACITY},
        {"InsufficientReservedInstanceCapacity", EC2_ERROR_CAPACITY},
        {"InsufficientHostCapacity", EC2_ERROR_CAPACITY},
        {"InsufficientCapacityOnHost", EC2_ERROR_CAPACITY},
        {"InsufficientVolumeCapacity", EC2_ERROR_CAPACITY},
        {"InsufficientAddressCapacity", EC2_ERROR_CAPACITY},
        {"UnfulfillableCapacity", EC2_ERROR_CAPACITY},
        {"SpotMaxPriceTooLow", EC2_ERROR_CAPACITY},
        {"Unsupported", EC2_ERROR_CAPACITY},
        {"InvalidFleetConfiguration", EC2_ERROR_CAPACITY},
        {"ReservationCapacityExceeded", EC2_ERROR_CAPACITY},

        {"UnsupportedOperation", EC2_ERROR_TYPE},

        {"InsufficientFreeAddressesInSubnet", EC2_ERROR_SUBNET},
        {"InvalidSubnetID.NotFound", EC2_ERROR_NO_SUBNET},

        {"MaxSpotInstanceCountExceeded", EC2_ERROR_QUOTA},
        {"VcpuLimitExceeded", EC2_ERROR_QUOTA},
        {"InstanceLimitExceeded", EC2_ERROR_QUOTA},
        {"MaxFleetCountExceeded", EC2_ERROR_QUOTA},
        {"ResourceLimitExceeded", EC2_ERROR_QUOTA},
        {"VolumeLimitExceeded", EC2_ERROR_QUOTA},
        {"MaxIOPSLimitExceeded", EC2_ERROR_QUOTA},
        {"NetworkInterfaceLimitExceeded", EC2_ERROR_QUOTA},
        {"AttachmentLimitExceeded", EC2_ERROR_QUOTA},
        {"PendingVerification", EC2_ERROR_QUOTA},

        {"RequestLimitExceeded", EC2_ERROR_THROTTLED},
        {"Throttling*", EC2_ERROR_THROTTLED},
        {"EC2ThrottledException", EC2_ERROR_THROTTLED},
        {"InternalError", EC2_ERROR_UNSURE},
        {"InternalFailure", EC2_ERROR_UNSURE},
        {"ServiceUnavailable", EC2_ERROR_UNSURE},
        {"Unavailable", EC2_ERROR_UNSURE},
        {"RequestTimeout*", EC2_ERROR_UNSURE},

        {"IdempotentParameterMismatch", EC2_ERROR_TOKEN_OTHER},
        {"IdempotentInstanceTerminated", EC2_ERROR_TOKEN_ENDED},

        {"AuthFailure*", EC2_ERROR_FATAL},
        {"UnauthorizedOperation", EC2_ERROR_FATAL},
        {"OptInRequired", EC2_ERROR_FATAL},
        {"Blocked", EC2_ERROR_FATAL},
        {"Invalid*", EC2_ERROR_FATAL},
        {"MissingParameter", EC2_ERROR_FATAL},
        {"SignatureDoesNotMatch", EC2_ERROR_FATAL},
};

static const struct code_class *find_class(const char *code)
{
        for (size_t i = 0; i < ARRAY_SIZE(classes); i++) {
                size_t size = strcspn(classes[i].code, "*");

                if (strncmp(code, classes[i].code, size) == 0 &&
                        (classes[i].code[size] == '*' || code[size] == '\0'))
                        return &classes[i];
        }
        return NULL;
}

enum ec2_error_class ec2_classify(const char *code)
{
        const struct code_class *class = find_class(code);

        return class ? class->class : EC2_ERROR_UNKNOWN;
}
