# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# What the commands here and packer/ami share: the AWS CLI, account and region, questions, and failures
# that name the cause and the next step. A command sources this file first, which changes to the project's
# root. Settings come from the environment, where make puts them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

command=${0##*/}
STACK=${STACK:-scale-agent}
poll_seconds=2
patience=900 # polls
export AWS_PAGER=''
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

say() { printf '%s\n' "$*"; }

fail() { # CAUSE [NEXT STEP]
  printf 'make %s: %s\n' "$command" "$1" >&2
  if [ -n "${2:-}" ]; then printf '  next: %s\n' "$2" >&2; fi
  exit 1
}

# This machine's architecture in AWS's words, and this checkout's version.
own_architecture() { uname -m | sed s/aarch64/arm64/; }
own_version() { git describe --always --abbrev=12 --dirty 2>/dev/null || echo unknown; }

# -- AWS --------------------------------------------------------------------------------------------
# Calls AWS and keeps its error message for `reason`.
call() { "$AWS" "$@" 2>"$scratch/complaint"; }

# Prints why the last call failed, without the phrases that every message has.
reason() {
  sed -n -E '/^For more information check /d
    s/^An error occurred \(([^)]*)\) when calling the [A-Za-z]+ operation[^:]*: /\1: /; /./p' \
    "$scratch/complaint" | tail -n 1
}

next_step() { # REASON
  case $1 in
    *"locate credentials"* | *InvalidClientTokenId* | *"config profile"*)
      say 'sign in (aws configure, aws sso login) or set AWS_PROFILE, then try again' ;;
    *Expired* | *expired*) say 'sign in again, then try again' ;;
    *AccessDenied* | *Unauthorized* | *"not authorized"* | *Forbidden*)
      say 'get this permission, or set AWS_PROFILE to someone who has it' ;;
    *"connect to the endpoint"*) say 'check the network, AWS_REGION and AWS_ENDPOINT_URL' ;;
    *Throttling* | *"Rate exceeded"*) say 'try again in a minute' ;;
  esac
}

# Calls AWS; a call that fails ends the command with AWS's reason.
must() { # WHAT FAILED, ARGUMENTS
  local what=$1 why
  shift
  call "$@" && return
  why=$(reason)
  fail "$what: $why" "$(next_step "$why")"
}

# Finds AWS account, region and partition (as ARNs name it), and prints who and where we are. Changes nothing.
identify() {
  local who
  if ! AWS=$(scaler/deploy/find-aws); then
    tests/prepare deploy
    AWS=$(scaler/deploy/find-aws) || fail 'there is no AWS CLI, version 1.29 or 2.13 or newer'
  fi
  AWS_REGION=${AWS_REGION:-${AWS_DEFAULT_REGION:-$(call configure get region || true)}}
  if [ -z "$AWS_REGION" ]; then
    fail 'no AWS region is set' "name one: make $command AWS_REGION=eu-central-1"
  fi
  export AWS_REGION AWS_DEFAULT_REGION=$AWS_REGION # version 1 of the CLI reads only the latter
  who=$(must 'signing in to AWS failed' sts get-caller-identity --query '[Account,Arn]' --output text)
  account=${who%%$'\t'*}
  # shellcheck disable=SC2034 # for the commands
  partition=$(cut -d : -f 2 <<<"$who")
  say "AWS account $account, region $AWS_REGION, as ${who#*$'\t'}"
}

# Prints the region's default VPC; nothing where there is none.
default_vpc() {
  must 'VPCs cannot be listed' ec2 describe-vpcs --filters Name=is-default,Values=true \
    --query 'Vpcs[0].VpcId' --output text | sed 's/^None$//'
}

# -- questions --------------------------------------------------------------------------------------
somebody_there() { [ -z "${YES:-}" ] && [ -t 0 ]; }

# Asks for a value. Takes the default with YES=1 or without a terminal.
ask() { # VARIABLE QUESTION DEFAULT
  local answer=''
  if somebody_there; then read -r -p "$2 [$3]: " answer || fail 'stopped; nothing was changed'; fi
  printf -v "$1" '%s' "${answer:-$3}"
}

# Asks for permission. YES=1 grants it; without a terminal it is refused.
confirm() { # QUESTION
  local answer=''
  if [ -n "${YES:-}" ]; then return; fi
  if ! somebody_there; then
    say "$1 There is nobody to ask; YES=1 says yes."
    return 1
  fi
  read -r -p "$1 [y/N]: " answer || return 1
  [[ $answer =~ ^[yY]([eE][sS])?$ ]]
}

# -- the stack --------------------------------------------------------------------------------------
# Prints the stack's status, or NONE.
stack_status() { # NAME OR ID
  local query=(cloudformation describe-stacks --stack-name "$1")
  if call "${query[@]}" --query 'Stacks[0].StackStatus' --output text; then return; fi
  case $(reason) in
    *"does not exist"*) say NONE ;;
    *) must "the stack $1 cannot be read" "${query[@]}" ;;
  esac
}

stack_parameter() { # NAME
  call cloudformation describe-stacks --stack-name "$STACK" --output text \
    --query "Stacks[0].Parameters[?ParameterKey=='$1'].ParameterValue | [0]" | sed 's/^None$//'
}

# Prints the names of the stack's functions; nothing when there is no stack.
stack_functions() {
  local status
  status=$(stack_status "$STACK")
  if [ "$status" = NONE ]; then return; fi
  must "the functions of $STACK cannot be listed" cloudformation list-stack-resources \
    --stack-name "$STACK" --output text --query \
    "StackResourceSummaries[?ResourceType=='AWS::Lambda::Function'].[PhysicalResourceId]"
}

# Waits until CloudFormation has finished; leaves the status in $status.
wait_for_stack() { # NAME OR ID
  local polls
  for ((polls = 0; polls < patience; polls++)); do
    status=$(stack_status "$1")
    case $status in
      *_IN_PROGRESS) sleep "$poll_seconds" ;;
      *) return ;;
    esac
  done
  fail "$STACK is still $status after $((patience * poll_seconds)) s" \
    "watch it in the console; when it has finished, make $command again"
}

# Lists resources that failed, with CloudFormation's reasons; a token limits the list to one operation.
failed_resources() { # NAME OR ID, [TOKEN]
  local which="ends_with(ResourceStatus, '_FAILED') && LogicalResourceId != '$STACK'"
  if [ -n "${2:-}" ]; then which+=" && ClientRequestToken == '$2'"; fi
  call cloudformation describe-stack-events --stack-name "$1" --output text --query \
    "StackEvents[?$which].[LogicalResourceId,ResourceType,ResourceStatusReason]" |
    grep -v 'creation cancelled' | head -n 20 | sed 's/^/  /; s/\t/  /g' || true
}
