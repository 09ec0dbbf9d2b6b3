# shellcheck shell=bash disable=SC2154 # from common.sh
# SPDX-License-Identifier: MIT
# What ami/install checks before it changes anything: user, system, settings, the agent's package, the
# runner's archive (downloads it and compares its checksum), disk space, and what is elsewhere (lookups.sh). It
# reports all faults of the settings at once.

mib=1048576
tool_groups=(java browser db)

check_who_and_where() {
  local what
  what=$(sed -n 's/^PRETTY_NAME="\{0,1\}\([^"]*\)"\{0,1\}/\1/p' /etc/os-release 2>/dev/null || true)
  if [ "$(id -u)" -ne 0 ]; then fail "it changes the system, and you are not root" "run it with sudo"; fi
  if [ -z "$distribution" ]; then
    fail "this system is ${what:-unknown (no /etc/os-release)}, for which there are no steps" \
      "use $systems"
  fi
  if [ -z "$runner_arch" ]; then
    fail "this machine is $(uname -m); the image is made for x86_64 and aarch64" "use one of these"
  fi
}

faults=()
fault() { faults+=("$1"); }

check_switch() { # NAME VALUE ALLOWED...
  local name=$1 value=$2 allowed
  shift 2
  for allowed in "$@"; do
    if [ "$value" = "$allowed" ]; then return; fi
  done
  fault "$name is '$value'; allowed: $*"
}

# shellcheck source=ami/company.sh
. "$here/company.sh"

check_settings() {
  local package
  check_switch PROFILE "$PROFILE" hosted minimal
  if [ "$PROFILE" = hosted ] && [ "$distribution" = amazon ]; then
    fault "PROFILE is 'hosted', which is for Debian and Ubuntu; on Amazon Linux it is minimal"
  fi
  for package in $TOOLS; do check_switch TOOLS "$package" "${tool_groups[@]}"; done
  if [ -n "$TOOLS" ] && [ "$distribution" = amazon ]; then
    fault "TOOLS is '$TOOLS'; there are no such groups for Amazon Linux: use EXTRA_PACKAGES"
  fi
  if [ "$DOCKER_FROM" != distribution ] && ! [[ $DOCKER_FROM =~ ^(https?|file)://[^[:space:]]+[^/]$ ]]; then
    fault "DOCKER_FROM is '$DOCKER_FROM'; it must be a URL without a slash at its end, or distribution"
  fi
  if [ -n "$TOOLS_MIRROR" ] && [[ $TOOLS_MIRROR != *://*/ ]] && [ ! -d "$TOOLS_MIRROR" ]; then
    fault "TOOLS_MIRROR is '$TOOLS_MIRROR'; it must be a folder, or a URL that ends in /"
  fi
  check_company
  check_switch RUNNER_SUDO "$RUNNER_SUDO" no yes
  check_switch DOCKER "$DOCKER" no yes
  check_switch BUILD_TOOLS "$BUILD_TOOLS" yes no
  check_switch JOB_METADATA "$JOB_METADATA" deny allow
  check_switch SSH "$SSH" no yes
  if ! [[ $LIFE_HOURS =~ ^[1-9][0-9]{0,2}$ ]] || [ "$LIFE_HOURS" -gt 168 ]; then
    fault "LIFE_HOURS is '$LIFE_HOURS'; it must be a whole number from 1 to 168"
  fi
  check_switch INSTANCE_STORE "$INSTANCE_STORE" auto no
  if ! [[ $SWAP =~ ^(0|[1-9][0-9]{0,3})$ ]]; then fault "SWAP is '$SWAP'; it must be whole GiB, from 0 to 9999"; fi
  if ! [[ $PREFIX =~ ^(/[A-Za-z0-9_.-]+)+$ ]]; then
    fault "PREFIX is '$PREFIX'; it must be a path of SSM parameters, such as /scale-agent"
  fi
  for package in $EXTRA_PACKAGES; do
    if ! [[ $package =~ ^[A-Za-z0-9][A-Za-z0-9+._:-]*$ ]]; then
      fault "EXTRA_PACKAGES holds '$package', which is not a package name"
    fi
  done
  if wants runner; then
    if ! [[ $RUNNER_VERSION =~ ^[0-9]+\.[0-9]+\.[0-9]+$ ]]; then
      fault "RUNNER_VERSION is '$RUNNER_VERSION'; it must be the version of a release, such as 2.330.0"
    fi
    if ! [[ $RUNNER_SHA256 =~ ^[0-9a-fA-F]{64}$ ]]; then
      fault "RUNNER_SHA256 is '$RUNNER_SHA256'; it must be the archive's SHA-256, 64 hexadecimal digits"
    fi
  fi
}

# The agent's package must contain the units that the image enables.
agent_units=(runner-agent.service runner-agent-deadline.timer runner.socket runner.service)

check_agent_package() {
  local kind=deb name='' arch='' list='' unit
  wants agent || return 0
  if [ "$distribution" = amazon ]; then kind=rpm; fi
  case $AGENT_PACKAGE in
    '')
      fault "AGENT_PACKAGE is missing; it must name the agent's .$kind (make package builds it)"
      return
      ;;
    *."$kind") ;;
    *)
      fault "AGENT_PACKAGE is '$AGENT_PACKAGE'; this system installs .$kind files"
      return
      ;;
  esac
  if [ ! -f "$AGENT_PACKAGE" ]; then
    fault "AGENT_PACKAGE is '$AGENT_PACKAGE', and there is no such file"
    return
  fi
  AGENT_PACKAGE=$(realpath "$AGENT_PACKAGE")
  if [ "$kind" = deb ]; then
    name=$(dpkg-deb -f "$AGENT_PACKAGE" Package 2>/dev/null) || name=
    arch=$(dpkg-deb -f "$AGENT_PACKAGE" Architecture 2>/dev/null) || arch=
    list=$(dpkg-deb --fsys-tarfile "$AGENT_PACKAGE" 2>/dev/null | tar -t 2>/dev/null) || list=
  else
    name=$(rpm -qp --qf '%{NAME}' "$AGENT_PACKAGE" 2>/dev/null) || name=
    arch=$(rpm -qp --qf '%{ARCH}' "$AGENT_PACKAGE" 2>/dev/null) || arch=
    list=$(rpm -qpl "$AGENT_PACKAGE" 2>/dev/null) || list=
  fi
  if [ -z "$name" ] || [ -z "$list" ]; then
    fault "AGENT_PACKAGE $AGENT_PACKAGE cannot be read as a .$kind; build it or copy it again"
  elif [ "$name" != runner-agent ]; then
    fault "AGENT_PACKAGE $AGENT_PACKAGE is the package $name, not runner-agent"
  elif [ "$arch" != "$package_arch" ] && [ "$arch" != all ] && [ "$arch" != noarch ]; then
    fault "AGENT_PACKAGE $AGENT_PACKAGE is for $arch; this machine is $package_arch"
  else
    for unit in "${agent_units[@]}"; do
      if ! grep -qE "(^|/)lib/systemd/system/$unit\$" <<<"$list"; then
        fault "AGENT_PACKAGE $AGENT_PACKAGE has no $unit; it is too old for this image: build a new one"
      fi
    done
  fi
}

check_tools() {
  local tool needed=(systemctl tar gzip sha256sum df stat useradd)
  if [ "$distribution" = amazon ]; then needed+=(dnf rpm); else needed+=(apt-get dpkg-deb); fi
  # a bare root has no init until step packages installs one
  if [ "$distribution" = debian ] && wants packages; then needed=("${needed[@]:1}"); fi
  if wants runner && [[ $RUNNER_ARCHIVE == *://* ]]; then
    have curl || have wget || fault "RUNNER_ARCHIVE is a URL, and neither curl nor wget is installed; install curl"
  fi
  for tool in "${needed[@]}"; do
    have "$tool" || fault "the program $tool is missing; this is not a stock system"
  done
}

tell_faults() {
  local text
  if [ ${#faults[@]} -eq 0 ]; then return; fi
  for text in "${faults[@]}"; do printf '%s: %s\n' "$me" "$text" >&2; done
  fail "nothing was changed" "correct this and run it again; ami/install --help lists all settings"
}

# -- the runner's archive -----------------------------------------------------------------------------
runner_is_installed() {
  [ "$(cat "$runner_home/.version" 2>/dev/null)" = "$RUNNER_VERSION ${RUNNER_SHA256,,}" ]
}

fetch() { # URL FILE
  if have curl; then
    curl --fail --silent --show-error --location --retry 3 --connect-timeout 30 --output "$2" "$1"
  else
    wget --quiet --tries=3 --connect-timeout=30 --output-document="$2" "$1"
  fi
}

# Leaves the archive, with the right checksum, at $runner_checked.
check_runner_archive() {
  local name=actions-runner-linux-$runner_arch-$RUNNER_VERSION.tar.gz found from
  wants runner && ! runner_is_installed || return 0
  from=$RUNNER_ARCHIVE
  case $from in
    *://*)
      case $from in */) from+=$name ;; esac
      runner_checked=$scratch/$name
      room_for "$scratch" $((300 * mib))
      say "fetching $from"
      fetch "$from" "$runner_checked" ||
        fail "the runner's archive could not be fetched from $from" \
          "check the address, RUNNER_VERSION and this machine's network; nothing was changed"
      ;;
    *)
      if [ ! -f "$from" ]; then
        fail "RUNNER_ARCHIVE is '$from', and there is no such file" "name a file or a URL; nothing was changed"
      fi
      runner_checked=$(realpath "$from")
      ;;
  esac
  found=$(sha256sum <"$runner_checked")
  found=${found%% *}
  if [ "$found" != "${RUNNER_SHA256,,}" ]; then
    fail "the runner's archive from $from has the SHA-256 $found, not RUNNER_SHA256 ${RUNNER_SHA256,,}" \
      "take both from the same release page; if they are, do not trust this archive. Nothing was changed"
  fi
  # not grep -q, which stops reading at the first match: tar would fail
  if ! tar -tzf "$runner_checked" 2>/dev/null | grep -xE '(\./)?bin/Runner\.Listener' >/dev/null; then
    fail "the archive $from holds no bin/Runner.Listener" "use GitHub's runner for Linux; nothing was changed"
  fi
}

# -- disk space ---------------------------------------------------------------------------------------
room_for() { # FOLDER BYTES
  local free
  free=$(df --output=avail -B1 "$1" | tail -n 1)
  if [ "$free" -lt "$2" ]; then
    fail "the file system of $1 has $((free / mib)) MiB free, and needs $(($2 / mib)) MiB" \
      "free some space, or use a larger volume; nothing was changed"
  fi
}

# Adds up the need of each file system: /, /opt, /var and /tmp may be one or several.
declare -A need=() place=()
needs() { # FOLDER BYTES
  local folder=$1 device
  while [ ! -d "$folder" ]; do folder=$(dirname "$folder"); done
  device=$(stat -c %d "$folder")
  need[$device]=$((${need[$device]:-0} + $2))
  place[$device]=${place[$device]:-$folder}
}

unpacked_size() { # ARCHIVE
  gzip -dc "$1" 2>/dev/null | wc -c
}

check_space() {
  local device
  needs /tmp $((32 * mib))
  if wants runner && ! runner_is_installed; then needs "${runner_home%/*}" "$(unpacked_size "$runner_checked")"; fi
  if wants packages && ! have nft; then
    needs /usr $((400 * mib))
    needs /var $((250 * mib))
    if [ "$BUILD_TOOLS" = yes ]; then needs /usr $((350 * mib)); fi
    if [ "$PROFILE" = hosted ]; then needs /usr $((1600 * mib)); fi
  fi
  if wants docker && [ "$DOCKER" = yes ] && ! have dockerd; then needs /usr $((400 * mib)); fi
  if wants boot && [ -d /boot ]; then needs /boot $((64 * mib)); fi
  for device in "${!need[@]}"; do
    room_for "${place[$device]}" "${need[$device]}"
  done
}

# A build instance may still be in its own first boot, installing packages.
wait_for_cloud_init() {
  if systemd_runs && have cloud-init; then cloud-init status --wait >/dev/null 2>&1 || true; fi
}

check_all() {
  check_who_and_where
  check_settings
  check_agent_package
  check_tools
  tell_faults
  wait_for_cloud_init
  scratch=$(mktemp -d "${TMPDIR:-/var/tmp}/ami-install.XXXXXX")
  use_company_network
  check_runner_archive
  check_space
  check_packages
  check_pinned_programs
}
