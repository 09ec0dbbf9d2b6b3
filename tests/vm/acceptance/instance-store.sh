#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Everything that writes much: it goes to the instance's own disk, whatever the kernel calls that.
set -euxo pipefail
disk=$(findmnt --noheadings --nofsroot --output SOURCE --target /home/runner/work)
[ "$(sed 's/ *$//' "/sys/block/${disk#/dev/}/device/model")" = "Amazon EC2 NVMe Instance Storage" ]
for folder in /tmp /var/lib/docker; do
  [ "$(findmnt --noheadings --nofsroot --output SOURCE,FSTYPE --target "$folder")" = "$disk ext4" ]
done
[ "$(findmnt --noheadings --output FSTYPE --target /opt/hostedtoolcache)" = overlay ]
[ "$(findmnt --noheadings --nofsroot --output SOURCE --target /)" != "$disk" ]
