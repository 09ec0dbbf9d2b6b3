# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# What the commands here share: the AWS CLI, who and where we are, questions, and failures that name
# the cause and the next step. A command sources this file first; it then stands in the project's
# root. Every command reads its settings from the environment, as make passes them on.
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

# This machine's architecture, and this checkout's version, as everything here calls them.
own_architecture() { uname -m | sed s/aarch64/arm64/; }
own_version() { git describe --always --abbrev=12 --dirty 2>/dev/null || echo unknown; }

# -- AWS --------------------------------------------------------------------------------------------
# Calls AWS; what it complains about is kept for `reason`.
call() { "$AWS" "$@" 2>"$scratch/complaint"; }

# What AWS said about the last call, without the words that are always the same.
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

# Calls AWS, or ends with its reason.
must() { # WHAT FAILED, ARGUMENTS
  local what=$1 why
  shift
  call "$@" && return
  why=$(reason)
  fail "$what: $why" "$(next_step "$why")"
}

# Finds the CLI, region and account, and says them. Changes nothing.
identify() {
  local who
  if ! AWS=$(scaler/deploy/find-aws); then
    tests/prepare deploy
    AWS=$(scaler/deploy/find-aws) || fail 'there is no AWS CLI, version 1.29 or 2.13 or newer'
  fi
  AWS_REGION=${AWS_REGION:-${AWS_DEFAULT_REGION:-$(call configure get region || true)}}
  if [ -z "$AWS_REGION" ]; then
    fail 'no AWS region is set' "say which: make $command AWS_REGION=eu-central-1"
  fi
  export AWS_REGION AWS_DEFAULT_REGION=$AWS_REGION # version 1 reads the second one only
  who=$(must 'AWS does not let us in' sts get-caller-identity --query '[Account,Arn]' --output text)
  account=${who%%$'\t'*}
  say "AWS account $account, region $AWS_REGION, as ${who#*$'\t'}"
}

# Prints the region's default VPC; nothing where there is none.
default_vpc() {
  must 'VPCs cannot be listed' ec2 describe-vpcs --filters Name=is-default,Values=true \
    --query 'Vpcs[0].VpcId' --output text | sed 's/^None$//'
}

# -- questions --------------------------------------------------------------------------------------
somebody_there() { [ -z "${YES:-}" ] && [ -t 0 ]; }

# Asks for a value; where nobody can be asked, or with YES=1, the default is taken.
ask() { # VARIABLE QUESTION DEFAULT
  local answer=''
  if somebody_there; then read -r -p "$2 [$3]: " answer || fail 'stopped; nothing was changed'; fi
  printf -v "$1" '%s' "${answer:-$3}"
}

# Asks for leave; YES=1 gives it, and nobody there does not.
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
# Gives the stack's status, or NONE.
stack_status() { # NAME OR ID
  local query=(cloudformation describe-stacks --stack-name "$1")
  if call "${query[@]}" --query 'Stacks[0].StackStatus' --output text; then return; fi
  case $(reason) in
    *"does not exist"*) say NONE ;;
    *) must "the stack $1 cannot be looked at" "${query[@]}" ;;
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

# Waits until CloudFormation is done and leaves the status in $status.
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
    "look at it in the console; make $command again when it is done"
}

# Lists resources that failed, with CloudFormation's reasons; of one operation where a token is given.
failed_resources() { # NAME OR ID, [TOKEN]
  local which="ends_with(ResourceStatus, '_FAILED') && LogicalResourceId != '$STACK'"
  if [ -n "${2:-}" ]; then which+=" && ClientRequestToken == '$2'"; fi
  call cloudformation describe-stack-events --stack-name "$1" --output text --query \
    "StackEvents[?$which].[LogicalResourceId,ResourceType,ResourceStatusReason]" |
    grep -v 'creation cancelled' | head -n 20 | sed 's/^/  /; s/\t/  /g' || true
}
