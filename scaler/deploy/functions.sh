# shellcheck shell=bash disable=SC2034,SC2154
# SPDX-License-Identifier: MIT
# The stack's functions and their code, for deploy and rollback. Tags of each function name its present
# and its previous code, so that a rollback works from any clone:
#   scale-agent:code, scale-agent:previous-code   s3://BUCKET/KEY
#   scale-agent:deployed                          the time, the same for all functions of one deployment
declare -A sha=() arch=() arn=() code=() previous=() deployed=()

# Asks which functions are meant, leaves their names in $functions, and reads the state of each.
choose_functions() { # QUESTION
  local all names function
  all=$(stack_functions | tr '\n' ' ')
  if [ -z "$all" ] && [ -z "${LAMBDA_FUNC_NAME:-}" ]; then
    fail "there is no stack $STACK in $AWS_REGION (account $account)" \
      'make stack, or name another one: STACK=…, AWS_REGION=…, AWS_PROFILE=…'
  fi
  ask names "$1 (all: ${all:-no stack })" "${LAMBDA_FUNC_NAME:-all}"
  if [ "$names" = all ]; then names=$all; fi
  read -r -a functions <<<"$names"
  for function in "${functions[@]}"; do look "$function" "$all"; done
}

look() { # FUNCTION ALL
  local line tags="Tags.\"scale-agent"
  if ! line=$(call lambda get-function --function-name "$1" --output text --query "[
      Configuration.CodeSha256, Configuration.Architectures[0], Configuration.FunctionArn,
      $tags:code\", $tags:previous-code\", $tags:deployed\", Configuration.LastUpdateStatus]"); then
    case $(reason) in
      *ResourceNotFound*) fail "there is no function $1 in $AWS_REGION; nothing was changed" \
        "name one of the stack's: ${2:-there is no stack $STACK}" ;;
      *) fail "the function $1 cannot be read: $(reason)" "$(next_step "$(reason)")" ;;
    esac
  fi
  IFS=$'\t' read -r "sha[$1]" "arch[$1]" "arn[$1]" "code[$1]" "previous[$1]" "deployed[$1]" line \
    <<<"$line"
  if [ "$line" = InProgress ]; then wait_for_function "$1" || true; fi
  if [ "${code[$1]}" = None ]; then code[$1]=$(first_code "$1" "$2"); fi
}

# A function without tags has the code that the stack was created with.
first_code() { # FUNCTION ALL
  case " $2 " in
    *" $1 "*) say "s3://$(stack_parameter CodeBucket)/$(stack_parameter CodeKey)" ;;
    *) say unknown ;;
  esac
}

# Waits until an update is active. `reason` prints what stopped it.
wait_for_function() { # FUNCTION
  local polls state
  for ((polls = 0; polls < patience; polls++)); do
    state=$(call lambda get-function-configuration --function-name "$1" --output text \
      --query '[LastUpdateStatus,LastUpdateStatusReason]') || return 1
    case $state in
      Successful*) return 0 ;;
      Failed*)
        printf '%s\n' "${state#*$'\t'}" >"$scratch/complaint"
        return 1
        ;;
    esac
    sleep "$poll_seconds"
  done
  say "Lambda did not finish within $((patience * poll_seconds)) s" >"$scratch/complaint"
  return 1
}

# Replaces a function's code, waits until it is active, and compares the checksum if one is given.
replace_code() { # FUNCTION s3://BUCKET/KEY [CHECKSUM]
  local where=${2#s3://} now
  now=$(call lambda update-function-code --function-name "$1" --s3-bucket "${where%%/*}" \
    --s3-key "${where#*/}" --query CodeSha256 --output text) || return 1
  wait_for_function "$1" || return 1
  if [ -n "${3:-}" ] && [ "$now" != "$3" ]; then
    say "Lambda has code with another checksum, $now" >"$scratch/complaint"
    return 1
  fi
  show_change "$1" "$2" "$now"
}

show_change() { # FUNCTION KEY SHA
  printf '%s\n  old  %s  %s\n  new  %s  %s\n' "$1" "${sha[$1]}" "${code[$1]}" "$3" "$2"
}

tag() { # FUNCTION NAME=VALUE…
  local function=$1 tags
  shift
  tags=$(printf 'scale-agent:%s,' "$@")
  call lambda tag-resource --resource "${arn[$function]}" --tags "${tags%,}"
}

untag() { # FUNCTION NAME…
  local function=$1
  shift
  call lambda untag-resource --resource "${arn[$function]}" --tag-keys "${@/#/scale-agent:}"
}
