# shellcheck shell=bash disable=SC2154 # from common.sh and checks.sh
# SPDX-License-Identifier: MIT
# What ami/install looks up elsewhere before it changes anything: whether the archives have the packages, and the
# programs of tools.pins, which it fetches.

# -- packages -----------------------------------------------------------------------------------------
# Asks the distribution's archives, with lists of its own below $scratch, which packages they have. What is not
# required and not there is left out.
left_out=()
check_packages() {
  local name need known='' missing=()
  if [ "$distribution" = amazon ] || [ -z "$(packages_wanted)" ]; then return; fi
  fetch_lists
  known=$(packages_wanted | cut -d ' ' -f 1 | xargs apt-cache "${lists[@]}" policy 2>/dev/null |
    awk '/^[^ ]/ { sub(/:$/, ""); name = $0 } /^  Candidate:/ && $2 != "(none)" { print name }')
  while read -r name need; do
    if grep -qxF "${name%%:*}" <<<"$known" || grep -qxF "$name" <<<"$known"; then continue; fi
    if [ "$need" = required ]; then missing+=("$name"); else left_out+=("$name"); fi
  done < <(packages_wanted)
  if [ ${#missing[@]} -gt 0 ]; then
    fail "the archives of $release have no package ${missing[*]}" \
      "check the names, EXTRA_PACKAGES and /etc/apt/sources.list.d; nothing was changed"
  fi
  if [ ${#left_out[@]} -gt 0 ]; then say "$release does not have, and goes without: ${left_out[*]}"; fi
}

packages_wanted() {
  local name groups
  if wants packages; then
    mapfile -t groups < <(package_groups)
    packages_of "${groups[@]}"
    for name in $EXTRA_PACKAGES; do printf '%s required\n' "$name"; done
  fi
  if wants docker && [ "$DOCKER" = yes ]; then packages_of "$(docker_group)"; fi
}

fetch_lists() {
  local try output=''
  lists=(-o "Dir::State::Lists=$scratch/lists" -o "Dir::Cache=$scratch/cache" -o APT::Sandbox::User=root
    -o APT::Update::Error-Mode=any -o Acquire::Retries=1)
  mkdir -p "$scratch/lists/partial" "$scratch/cache/archives/partial"
  if wants docker && [ "$DOCKER" = yes ] && [ "$DOCKER_FROM" != distribution ]; then
    mkdir -p "$scratch/apt"
    cp -a /etc/apt/sources.list.d "$scratch/apt/"
    put_docker_archive "$scratch/apt"
    lists+=(-o "Dir::Etc::SourceParts=$scratch/apt/sources.list.d"
      -o "Dir::Etc::PreferencesParts=$scratch/apt/preferences.d")
  fi
  for try in 1 2 3; do
    if output=$(apt-get "${lists[@]}" update 2>&1); then return; fi
    if [ "$try" -lt 3 ]; then sleep 5; fi
  done
  printf '%s\n' "$output" | tail -n 10 >&2
  fail "the lists of the distribution's archives could not be fetched (above)" \
    "check this machine's network and /etc/apt; nothing was changed"
}

# -- programs from outside the archives ---------------------------------------------------------------
# Leaves each program of tools.pins that is not installed yet below $scratch/tools, with the right checksum.
check_pinned_programs() {
  local name version arch sum address file found
  mkdir -p "$scratch/tools"
  if ! wants tools || [ "$PROFILE" != hosted ]; then return; fi
  room_for "$scratch" $((400 * mib))
  while read -r name version arch sum address; do
    if [ "$arch" != "$package_arch" ] || tool_is_installed "$name" "$sum"; then continue; fi
    if [ -n "$TOOLS_MIRROR" ]; then address=${TOOLS_MIRROR%/}/${address##*/}; fi
    file=$scratch/tools/$name
    say "fetching $address"
    case $address in
      *://*) fetch "$address" "$file" || found=none ;;
      *) cp "$address" "$file" || found=none ;;
    esac
    if [ "${found-}" = none ]; then
      fail "$name $version could not be fetched from $address" \
        "check this machine's network, or name a mirror: TOOLS_MIRROR; nothing was changed"
    fi
    found=$(sha256sum <"$file")
    if [ "${found%% *}" != "$sum" ]; then
      fail "$name $version from $address has the SHA-256 ${found%% *}, and packages/tools.pins says $sum" \
        "do not trust this file, or correct version and checksum together. Nothing was changed"
    fi
  done < <(sed 's/#.*//; /^[[:space:]]*$/d' "$here/packages/tools.pins")
}
