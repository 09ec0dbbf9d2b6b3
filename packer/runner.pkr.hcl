# SPDX-License-Identifier: MIT
# The version of GitHub's runner in images. Version, day and checksums change together; the release's page has them:
# https://github.com/actions/runner/releases. GitHub gives no jobs to a runner that 30 days after a newer release is
# not that release, so images have to be built again before that, with the newer one.
locals {
  runner_released = "2026-10-06" # make ami reads it here, and says how old that is
}

variable "runner_version" {
  type        = string
  default     = "2.338.0"
  description = "Version of GitHub's runner."
  validation {
    condition     = can(regex("^2\\.[0-9]+\\.[0-9]+$", var.runner_version))
    error_message = "The version of GitHub's runner must be three numbers, such as 2.338.0."
  }
}

variable "runner_sha256" {
  type        = map(string)
  description = "SHA-256 of the runner's archive for each architecture, actions-runner-linux-x64 and -arm64."
  default = {
    x86_64 = "af4b794c1bc41d73d40535e3fe092a39f9679cd8d965954c2aca25a05ca41d32"
    arm64  = "628b4a7258487b80c1d3c221095a7ded349f5ae0175fd3dfab708d07428f041b"
  }
  validation {
    condition     = can([for sum in values(var.runner_sha256) : regex("^[0-9a-f]{64}$", sum)])
    error_message = "The SHA-256 of the runner's archive must be 64 hexadecimal digits in lower case."
  }
  validation {
    condition     = can([for name in keys(var.runner_sha256) : regex("^(x86_64|arm64)$", name)])
    error_message = "The SHA-256 of the runner's archive must be given for x86_64 or arm64."
  }
}
