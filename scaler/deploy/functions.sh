# shellcheck shell=bash disable=SC2034,SC2154
# SPDX-License-Identifier: MIT
# The functions of the stack and the code that they run, for deploy and rollback. What a function runs
# and ran before is in tags of the function, so that any clone can go back:
#   scale-agent:code, scale-agent:previous-code   s3://BUCKET/KEY
#   scale-agent:deployed                          when; the same for all functions of one deployment
declare -A sha=() arch=() arn=() code=() previous=() deployed=()

# Asks which functions are meant and leaves their names in $functions; looks at each.
choose_functions() { # QUESTION
  local all names function
  all=$(stack_functions | tr '\n' ' ')
  if [ -z "$all" ] && [ -z "${LAMBDA_FUNC_NAME:-}" ]; then
    fail "there is no stack $STACK in $AWS_REGION (account $account)" \
      'make stack, or say where it is: STACK=…, AWS_REGION=…, AWS_PROFILE=…'
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
      *) fail "the function $1 cannot be looked at: $(reason)" "$(next_step "$(reason)")" ;;
    esac
  fi
  IFS=$'\t' read -r "sha[$1]" "arch[$1]" "arn[$1]" "code[$1]" "previous[$1]" "deployed[$1]" line \
    <<<"$line"
  if [ "$line" = InProgress ]; then wait_for_function "$1" || true; fi
  if [ "${code[$1]}" = None ]; then code[$1]=$(first_code "$1" "$2"); fi
}

# What a function runs that was never deployed to is what the stack was made with.
first_code() { # FUNCTION ALL
  case " $2 " in
    *" $1 "*) say "s3://$(stack_parameter CodeBucket)/$(stack_parameter CodeKey)" ;;
    *) say unknown ;;
  esac
}

# Waits until an update is active; what stopped it is left in $scratch/complaint.
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
  say 'Lambda is still at it' >"$scratch/complaint"
  return 1
}

# Gives a function this code, waits until it is active, and checks the checksum where one is given.
replace_code() { # FUNCTION s3://BUCKET/KEY [CHECKSUM]
  local where=${2#s3://} now
  now=$(call lambda update-function-code --function-name "$1" --s3-bucket "${where%%/*}" \
    --s3-key "${where#*/}" --query CodeSha256 --output text) || return 1
  wait_for_function "$1" || return 1
  if [ -n "${3:-}" ] && [ "$now" != "$3" ]; then
    say "Lambda took code with another checksum, $now" >"$scratch/complaint"
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
