# shellcheck shell=bash disable=SC2034 # the steps use them
# SPDX-License-Identifier: MIT
# What ami/install and its steps share: the settings with their defaults, failures that name the next step,
# and the few ways in which a step changes the system. Each change can be made twice, and no file is ever
# half-written: it is written beside its place and renamed.
set -euo pipefail
umask 022
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
me=${0##*/}

AGENT_PACKAGE=${AGENT_PACKAGE-}
RUNNER_VERSION=${RUNNER_VERSION-}
RUNNER_SHA256=${RUNNER_SHA256-}
RUNNER_ARCHIVE=${RUNNER_ARCHIVE:-https://github.com/actions/runner/releases/download/v$RUNNER_VERSION/}
PROFILE=${PROFILE:-hosted}
if [ "$PROFILE" = minimal ]; then jobs_are_root=no; else jobs_are_root=yes; fi
RUNNER_SUDO=${RUNNER_SUDO:-$jobs_are_root}
DOCKER=${DOCKER:-$jobs_are_root}
TOOLS=${TOOLS-}
TOOLS_MIRROR=${TOOLS_MIRROR-}
DOCKER_FROM=${DOCKER_FROM-}
BUILD_TOOLS=${BUILD_TOOLS:-yes}
EXTRA_PACKAGES=${EXTRA_PACKAGES-}
JOB_METADATA=${JOB_METADATA:-deny}
LIFE_HOURS=${LIFE_HOURS:-7}
PREFIX=${PREFIX:-/scale-agent}
SSH=${SSH:-no}
INSTANCE_STORE=${INSTANCE_STORE:-auto}
SWAP=${SWAP:-0}
PROXY=${PROXY-}
NO_PROXY=${NO_PROXY-}
CA_CERTIFICATES=${CA_CERTIFICATES-}
HOOK_JOB_STARTED=${HOOK_JOB_STARTED-}
HOOK_JOB_COMPLETED=${HOOK_JOB_COMPLETED-}
ENVIRONMENT=${ENVIRONMENT-}
SETUP_SCRIPT=${SETUP_SCRIPT-}
ACTIONS_ARCHIVE=${ACTIONS_ARCHIVE-}

runner_home=/opt/actions-runner
unit_dir=/etc/systemd/system
environment_dir=/etc/runner-agent/environment.d # what steps give to jobs; step environment puts it together

say() { printf '%s: %s\n' "$me" "$*"; }

fail() { # WHAT [NEXT STEP]
  printf '%s: %s\n' "$me" "$1" >&2
  if [ -n "${2-}" ]; then printf '  next: %s\n' "$2" >&2; fi
  trap - ERR
  exit 1
}

# Reports a failure that no message was written for.
unexpected() { # LINE COMMAND STATUS
  printf '%s: line %s: this failed with status %s: %s\n' "$me" "$1" "$3" "$2" >&2
  printf '  next: read its output above; every step can be run again: ami/install STEP...\n' >&2
}
trap 'unexpected "$LINENO" "$BASH_COMMAND" "$?"' ERR
set -E

# Runs a command, and shows its output only when it fails.
quietly() {
  local output status=0
  output=$("$@" 2>&1) || status=$?
  if [ "$status" -eq 0 ]; then return; fi
  printf '%s\n' "$output" | tail -n 30 >&2
  fail "this failed with status $status: $*" "its output is above; fix the cause and run ami/install again"
}

have() { command -v "$1" >/dev/null; }

# -- the system ---------------------------------------------------------------------------------------
# Prints distribution and version, such as debian-12; nothing for those without steps.
find_release() {
  local id version
  [ -r /etc/os-release ] || return 0
  # shellcheck disable=SC1091 # of the system
  id=$(. /etc/os-release && printf '%s' "${ID-}")
  # shellcheck disable=SC1091
  version=$(. /etc/os-release && printf '%s' "${VERSION_ID-}")
  case $id-$version in
    debian-12 | debian-13 | ubuntu-24.04 | ubuntu-26.04) printf %s "$id-$version" ;;
    amzn-2023 | amzn-2023.*) printf amazon-2023 ;;
  esac
}
release=$(find_release)
distribution=${release%%-*} # debian, ubuntu or amazon
if [ -z "$DOCKER_FROM" ]; then
  case $PROFILE-$distribution in
    minimal-* | *-amazon) DOCKER_FROM=distribution ;;
    *) DOCKER_FROM=https://download.docker.com/linux ;;
  esac
fi
systems='Debian 12 or 13, Ubuntu 24.04 or 26.04, or Amazon Linux 2023'

# The names of the architecture in the system's packages and in the runner's releases.
case $(uname -m) in
  x86_64) package_arch=amd64 runner_arch=x64 ;;
  aarch64) package_arch=arm64 runner_arch=arm64 ;;
  *) package_arch='' runner_arch='' ;;
esac
if [ "$distribution" = amazon ]; then package_arch=$(uname -m); fi

# True on a build instance, false in a folder entered by chroot.
systemd_runs() { [ -d /run/systemd/system ]; }

# -- files --------------------------------------------------------------------------------------------
# Writes standard input to FILE, unless FILE has this content already.
put() { # FILE [MODE]
  local file=$1 mode=${2:-644} new
  mkdir -p "${file%/*}"
  new=$(mktemp "${file%/*}/.${file##*/}.XXXXXX")
  cat >"$new"
  chmod "$mode" "$new"
  if [ -f "$file" ] && [ ! -L "$file" ] && cmp -s "$new" "$file" &&
    [ "$(stat -c %a "$file")" = "$mode" ]; then
    rm "$new"
  else
    mv -fT "$new" "$file"
  fi
}

# Copies a file of ami/files to the same path of the system.
put_file() { # PATH [MODE]
  put "$1" "${2:-644}" <"$here/files$1"
}

link() { # TARGET FILE
  mkdir -p "${2%/*}"
  if [ "$(readlink "$2" 2>/dev/null)" != "$1" ]; then ln -sfT "$1" "$2"; fi
}

# -- the network --------------------------------------------------------------------------------------
# Prints what is reached without PROXY: what NO_PROXY names, this machine, EC2's own addresses, and names that
# only a VPC has (of instances, and of endpoints without private DNS).
whole_no_proxy() {
  local own=localhost,127.0.0.1,::1,169.254.169.254,fd00:ec2::254,.ec2.internal,.compute.internal
  own+=,.vpce.amazonaws.com
  printf '%s' "$own"
  if [ -n "$NO_PROXY" ]; then printf ',%s' "$(tr -s ', ' ',' <<<"$NO_PROXY")"; fi
}

# -- units --------------------------------------------------------------------------------------------
unit_exists() { # UNIT
  local unit=$1 folder template
  template=${unit/@*./@.}
  for folder in /etc/systemd/system /usr/local/lib/systemd/system /usr/lib/systemd/system /lib/systemd/system; do
    if [ -e "$folder/$unit" ] || [ -e "$folder/$template" ]; then return 0; fi
  done
  [ -x "/etc/init.d/${unit%.service}" ]
}

# Works in a chroot as well. A unit that runs goes on running: what matters is the image's next boot.
mask() { # UNIT
  if [ "$(readlink "$unit_dir/$1" 2>/dev/null)" = /dev/null ]; then return 0; fi
  if [ -e "$unit_dir/$1" ]; then rm -f "$unit_dir/$1"; fi
  quietly systemctl --no-reload mask "$1"
}

unmask() { # UNIT
  if [ "$(readlink "$unit_dir/$1" 2>/dev/null)" = /dev/null ]; then rm -f "$unit_dir/$1"; fi
}

# Enables anew: an older version of the unit may have belonged to another target.
enable() { # UNIT
  unmask "$1"
  quietly systemctl --no-reload reenable "$1"
}

disable() { # UNIT
  if unit_exists "$1"; then quietly systemctl --no-reload disable "$1"; fi
}

# -- packages -----------------------------------------------------------------------------------------
# The groups of step packages, each a file in packages/.
package_groups() {
  local group
  printf 'base\n'
  if [ "$BUILD_TOOLS" = yes ]; then printf 'build\n'; fi
  if [ "$PROFILE" = hosted ]; then printf 'hosted\n'; fi
  if [ "$PROFILE" = hosted ] && [ "$BUILD_TOOLS" = yes ]; then printf 'hosted-build\n'; fi
  for group in $TOOLS; do printf '%s\n' "$group"; done
}

# Prints the first two columns of those rows of a file in packages/ that are for this system.
rows_of() { # FILE
  local first second where
  sed 's/#.*//' "$here/packages/$1" | while read -r first second where; do
    case " ${where:-$release} " in
      *" $release "* | *" $distribution "*) if [ -n "$first" ]; then printf '%s %s\n' "$first" "$second"; fi ;;
    esac
  done
}

# Prints the packages that groups have for this system, each with "required" or "optional".
packages_of() { # GROUP...
  local group
  for group; do rows_of "$group.list"; done
}

docker_group() {
  if [ "$DOCKER_FROM" = distribution ]; then printf 'docker-distribution\n'; else printf 'docker\n'; fi
}

# Lets apt take Docker's packages from Docker's archive, in the versions of docker.pins and in no others.
put_docker_archive() { # FOLDER, /etc/apt or one in its place
  local package pattern codename
  # shellcheck disable=SC1091 # of the system
  codename=$(. /etc/os-release && printf '%s' "$VERSION_CODENAME")
  put "$1/sources.list.d/docker.sources" <<END
# By ami/install, step docker.
Types: deb
URIs: $DOCKER_FROM/$distribution
Suites: $codename
Components: stable
Signed-By: $1/keyrings/docker.asc
END
  put "$1/keyrings/docker.asc" <"$here/files/etc/apt/keyrings/docker.asc"
  {
    printf '# By ami/install, step docker: the first row that fits a version counts.\n'
    rows_of docker.pins | while read -r package pattern; do
      printf 'Package: %s\nPin: version %s\nPin-Priority: 1001\n\n' "$package" "$pattern"
    done
    rows_of docker.pins | while read -r package pattern; do
      printf 'Package: %s\nPin: version *\nPin-Priority: -1\n\n' "$package"
    done
  } | put "$1/preferences.d/docker"
}

# Prints the names of the packages of GROUP..., without those that the check found missing in this distribution.
names_of() { # GROUP...
  local name need
  packages_of "$@" | while read -r name need; do
    case " ${PACKAGES_LEFT_OUT-} " in *" $name "*) ;; *) printf '%s\n' "$name" ;; esac
  done
}

# Installs packages, by name or as files ("./x.deb"), with their dependencies and no recommendations.
# No service is started by it: policy-rc.d forbids that while packages are set up.
install_packages() { # PACKAGE...
  if [ "$distribution" = amazon ]; then
    quietly dnf install -y --setopt=install_weak_deps=False "$@"
    return
  fi
  if [ ! -e "$policy" ] || grep -q ami/install "$policy"; then
    printf '#!/bin/sh\n# while ami/install runs: no service is started\nexit 101\n' | put "$policy" 755
    trap 'rm -f "$policy"' EXIT
  fi
  DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 quietly apt-get install -y \
    --no-install-recommends --allow-downgrades -o Dpkg::Options::=--force-confdef \
    -o Dpkg::Options::=--force-confold -o DPkg::Lock::Timeout=300 "$@"
  if grep -qs ami/install "$policy"; then rm -f "$policy"; fi
  trap - EXIT
}
policy=/usr/sbin/policy-rc.d

# Updates the package lists; just after its boot, a build instance may be doing that itself.
update_packages() {
  local try
  if [ "$distribution" = amazon ]; then return; fi
  for try in 1 2 3; do
    if [ "$try" -lt 3 ] && apt-get update -o APT::Update::Error-Mode=any >/dev/null 2>&1; then return; fi
    if [ "$try" -lt 3 ]; then sleep 10; fi
  done
  quietly apt-get update -o APT::Update::Error-Mode=any
}

# Says whether step tools has installed this very file.
tool_is_installed() { # NAME SHA256
  [ "$(cat "$tool_marks/$1" 2>/dev/null)" = "$2" ]
}
tool_marks=/usr/lib/scale-agent/tools

# systemd-resolved's package makes /etc/resolv.conf a link to a file that resolved writes when it runs,
# which is not before the next boot. Until then, that file gets the previous name servers.
keep_names() { # FILE with the previous name servers
  local link=/etc/resolv.conf target=/run/systemd/resolve/stub-resolv.conf
  if [ -L "$link" ] && [ ! -e "$link" ] && [ -s "$1" ]; then
    mkdir -p "${target%/*}"
    install -m 644 "$1" "$target"
  fi
}
