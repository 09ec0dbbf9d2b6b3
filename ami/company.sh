# shellcheck shell=bash disable=SC2153,SC2154 # from common.sh and checks.sh
# SPDX-License-Identifier: MIT
# What ami/install checks of the settings by which companies add their own: proxy, authorities, hooks,
# variables, a script, archives of actions. Sourced by checks.sh.

check_file() { # NAME FILE
  if [ -z "$2" ]; then return 1; fi
  if [ -f "$2" ] && [ -r "$2" ] && [ -s "$2" ]; then return; fi
  fault "$1 is '$2', which is no file with content"
  return 1
}

check_proxy() {
  local host
  if [ -z "$PROXY" ]; then return; fi
  if ! [[ $PROXY =~ ^http://([A-Za-z0-9._~%!*+-]+(:[A-Za-z0-9._~%!*+:-]*)?@)?[A-Za-z0-9.-]+:[0-9]{1,5}/?$ ]]; then
    fault "PROXY is '$PROXY'; it must be http://[USER:PASSWORD@]HOST:PORT, and special characters encoded as %XX"
  fi
  for host in ${NO_PROXY//,/ }; do
    if ! [[ $host =~ ^[A-Za-z0-9.*:/_-]+$ ]]; then
      fault "NO_PROXY holds '$host'; it must be host names, .domains and addresses, separated by commas"
    fi
  done
}

# Each block of a file must be a certificate. A key in it would end up in the image.
check_certificates() { # FILE
  local file=$1 text='' line lines
  check_file CA_CERTIFICATES "$file" || return 0
  if grep -q 'PRIVATE KEY-----' "$file"; then
    fault "CA_CERTIFICATES: $file holds a private key; name a file with certificates only"
  elif ! grep -qE '^-----BEGIN (TRUSTED )?CERTIFICATE-----' "$file"; then
    fault "CA_CERTIFICATES: $file holds no certificate in PEM format"
  elif have openssl; then
    mapfile -t lines <"$file"
    for line in "${lines[@]}"; do
      case $line in -----BEGIN*) text= ;; esac
      text+=$line$'\n'
      case $line in -----END*) check_certificate "$file" "$text" ;; esac
    done
  fi
}

check_certificate() { # FILE TEXT
  if ! openssl x509 -noout <<<"$2" 2>/dev/null; then
    fault "CA_CERTIFICATES: a certificate in $1 cannot be read; copy it again"
  elif ! openssl x509 -noout -checkend 0 <<<"$2" >/dev/null 2>&1; then
    fault "CA_CERTIFICATES: a certificate in $1 has expired"
  fi
}

check_hook() { # NAME FILE
  check_file "$1" "$2" || return 0
  case $2 in
    *.sh) ;;
    *) fault "$1 is '$2'; the runner starts scripts whose names end in .sh" ;;
  esac
}

check_variables() {
  local bad
  check_file ENVIRONMENT "$ENVIRONMENT" || return 0
  bad=$(grep -nvE '^[[:space:]]*(#.*)?$|^[A-Za-z_][A-Za-z0-9_]*=' "$ENVIRONMENT" | head -n 1) || true
  if [ -n "$bad" ]; then fault "ENVIRONMENT: line ${bad%%:*} of $ENVIRONMENT is not NAME=VALUE"; fi
}

check_script() {
  check_file SETUP_SCRIPT "$SETUP_SCRIPT" || return 0
  if [ "$(head -c 2 "$SETUP_SCRIPT" | tr -d '\0')" != '#!' ]; then
    fault "SETUP_SCRIPT $SETUP_SCRIPT does not begin with #!, so nothing says what runs it"
  fi
}

check_actions() {
  local file name
  if [ -z "$ACTIONS_ARCHIVE" ]; then return; fi
  if [ ! -d "$ACTIONS_ARCHIVE" ]; then
    fault "ACTIONS_ARCHIVE is '$ACTIONS_ARCHIVE', and there is no such folder"
    return
  fi
  file=$(find "$ACTIONS_ARCHIVE" -mindepth 2 -maxdepth 2 -name '*.tar.gz' -type f | head -n 1)
  if [ -z "$file" ]; then
    fault "ACTIONS_ARCHIVE $ACTIONS_ARCHIVE holds no OWNER_REPOSITORY/COMMIT.tar.gz"
  fi
  while IFS= read -r file; do
    name=${file##*/}
    if ! [[ $name =~ ^[0-9a-f]{40}([0-9a-f]{24})?\.tar\.gz$ ]]; then
      fault "ACTIONS_ARCHIVE: $file is not named by a whole commit: COMMIT.tar.gz"
    elif ! gzip -t "$file" 2>/dev/null; then
      fault "ACTIONS_ARCHIVE: $file is damaged; fetch it again"
    fi
  done < <(find "$ACTIONS_ARCHIVE" -mindepth 2 -maxdepth 2 -name '*.tar.gz' -type f)
}

check_company() {
  local file
  check_proxy
  for file in ${CA_CERTIFICATES//,/ }; do check_certificates "$file"; done
  check_hook HOOK_JOB_STARTED "$HOOK_JOB_STARTED"
  check_hook HOOK_JOB_COMPLETED "$HOOK_JOB_COMPLETED"
  check_variables
  check_script
  check_actions
}

# For this run's own downloads, the first of which comes before anything is changed.
use_company_network() {
  local bundle
  if [ -n "$PROXY" ]; then
    export http_proxy=$PROXY https_proxy=$PROXY no_proxy
    no_proxy=$(whole_no_proxy)
  fi
  if [ -n "$CA_CERTIFICATES" ]; then
    export CURL_CA_BUNDLE=$scratch/authorities.pem
    for bundle in /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt ${CA_CERTIFICATES//,/ }; do
      if [ -f "$bundle" ]; then cat "$bundle" && echo; fi
    done >"$CURL_CA_BUNDLE"
  fi
}
