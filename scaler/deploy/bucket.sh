# shellcheck shell=bash disable=SC2034,SC2154
# SPDX-License-Identifier: MIT
# The S3 bucket, for upload and stack: Lambda reads the scaler's zip from it, CloudFormation the template.

# Sets BUCKET where it is not given, and checks that it belongs to this account and is in this region.
choose_bucket() { # QUESTION [DEFAULT]
  if [ -z "${BUCKET:-}" ]; then ask BUCKET "$1" "${2:-scale-agent-$account-$AWS_REGION}"; fi
  check_bucket
}

check_bucket() {
  local location
  if ! location=$(call s3api get-bucket-location --bucket "$BUCKET" --output text \
    --expected-bucket-owner "$account" --query LocationConstraint); then
    case $(reason) in
      *NoSuchBucket*) fail "there is no bucket $BUCKET" \
        "make it: aws s3 mb s3://$BUCKET --region $AWS_REGION" ;;
      *AccessDenied*) fail "the bucket $BUCKET belongs to another account, or you may not read it" \
        "name one of yours: make $command BUCKET=…" ;;
      *) fail "the bucket $BUCKET cannot be used: $(reason)" "$(next_step "$(reason)")" ;;
    esac
  fi
  case $location in
    None | null | '') location=us-east-1 ;;
    EU) location=eu-west-1 ;;
  esac
  if [ "$location" != "$AWS_REGION" ]; then
    fail "the bucket $BUCKET is in $location; Lambda in $AWS_REGION reads buckets in $AWS_REGION only" \
      "make $command AWS_REGION=$location, or name another BUCKET"
  fi
}

# Leaves a file's SHA-256 in $digest (hexadecimal) and in $checksum (base64, as S3 and Lambda print it).
measure() { # FILE
  digest=$(sha256sum "$1" | cut -d' ' -f1)
  checksum=$(printf '%b' "$(printf %s "$digest" | sed 's/../\\x&/g')" | base64)
}

# Uploads a measured file unless the bucket has it already, and checks what arrived.
store() { # FILE KEY
  local stored
  stored=$(stored_checksum "$2")
  if [ "$stored" = "$checksum" ]; then
    say "already there: s3://$BUCKET/$2"
    return
  fi
  if [ "$stored" = hidden ]; then
    say "whether s3://$BUCKET/$2 is there cannot be seen without s3:ListBucket and s3:GetObject; uploading it"
  fi
  must "$1 was not uploaded" s3api put-object --bucket "$BUCKET" --key "$2" --body "$1" \
    --checksum-algorithm SHA256 --checksum-sha256 "$checksum" >/dev/null
  stored=$(stored_checksum "$2")
  if [ "$stored" = hidden ]; then
    fail "s3://$BUCKET/$2 was uploaded, but cannot be read: 403: Forbidden" \
      "get the permission s3:GetObject (and kms:Decrypt for a bucket with a KMS key), then make $command again"
  fi
  if [ "$stored" != "$checksum" ]; then
    fail "what arrived at s3://$BUCKET/$2 is not $1" "make $command again"
  fi
  say "uploaded: s3://$BUCKET/$2"
}

# Prints the checksum of an object; nothing when there is no such object. S3 says 403 for what is not there to
# somebody without s3:ListBucket: that is `hidden`.
stored_checksum() { # KEY
  if call s3api head-object --bucket "$BUCKET" --key "$1" --checksum-mode ENABLED \
    --query ChecksumSHA256 --output text; then return; fi
  case $(reason) in
    *"Not Found"* | *404*) ;;
    *Forbidden* | *403*) say hidden ;;
    *) fail "s3://$BUCKET/$1 cannot be read: $(reason)" "$(next_step "$(reason)")" ;;
  esac
}

# Prints an object's URL as CloudFormation takes it: HTTPS, at the region's own endpoint. The bucket is
# part of the path, as in the AWS CLI's `cloudformation deploy`, so its name may contain dots.
object_url() { # KEY
  local domain=amazonaws.com
  case $partition in
    aws-cn) domain=amazonaws.com.cn ;;
    aws-eusc) domain=amazonaws.eu ;;
  esac
  say "https://s3.$AWS_REGION.$domain/$BUCKET/$1"
}
