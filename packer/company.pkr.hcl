# SPDX-License-Identifier: MIT
# What companies add to an image. Files and folders are uploaded beside ami/, under their own names, so that no two
# may have the same; packer/ami checks that.
variable "proxy" {
  type        = string
  default     = ""
  description = "Proxy by which the building machine and the image's machines reach the internet: http://[USER:PASSWORD@]HOST:PORT."
  validation {
    condition     = can(regex("^(http://([A-Za-z0-9._~%!*+-]+(:[A-Za-z0-9._~%!*+:-]*)?@)?[A-Za-z0-9.-]+:[0-9]{1,5}/?)?$", var.proxy))
    error_message = "The proxy must be http://HOST:PORT, with USER:PASSWORD@ before the host if it asks for them."
  }
}

variable "no_proxy" {
  type        = list(string)
  default     = []
  description = "Hosts, .domains and addresses that are reached without the proxy, besides EC2's own."
  validation {
    condition     = can([for host in var.no_proxy : regex("^[A-Za-z0-9.*:/_-]+$", host)])
    error_message = "The hosts without the proxy must be names of hosts, domains that begin with a dot, or addresses."
  }
}

variable "ca_certificates" {
  type        = list(string)
  default     = []
  description = "Local files with certificates (PEM) of authorities that machines trust."
  validation {
    condition     = can([for file in var.ca_certificates : regex("^[A-Za-z0-9._/~+-]+$", file)])
    error_message = "The names of the certificates' files may have letters, digits and ._/~+- only."
  }
}

variable "hook_job_started" {
  type        = string
  default     = ""
  description = "Local script (.sh) that the runner starts before a job's first step."
  validation {
    condition     = can(regex("^([A-Za-z0-9._/~+-]+\\.sh)?$", var.hook_job_started))
    error_message = "The hook of a job's start must be a file whose name ends in .sh."
  }
}

variable "hook_job_completed" {
  type        = string
  default     = ""
  description = "Local script (.sh) that the runner starts after a job's last step."
  validation {
    condition     = can(regex("^([A-Za-z0-9._/~+-]+\\.sh)?$", var.hook_job_completed))
    error_message = "The hook of a job's end must be a file whose name ends in .sh."
  }
}

variable "environment" {
  type        = string
  default     = ""
  description = "Local file of NAME=VALUE lines, the variables of every job."
  validation {
    condition     = can(regex("^[A-Za-z0-9._/~+-]*$", var.environment))
    error_message = "The name of the file of variables may have letters, digits and ._/~+- only."
  }
}

variable "setup_script" {
  type        = string
  default     = ""
  description = "Local script that is run as root at the end of the build; its failure fails the build."
  validation {
    condition     = can(regex("^[A-Za-z0-9._/~+-]*$", var.setup_script))
    error_message = "The name of the script may have letters, digits and ._/~+- only."
  }
}

variable "actions_archive" {
  type        = string
  default     = ""
  description = "Local folder of OWNER_REPOSITORY/COMMIT.tar.gz: actions that machines need not download."
  validation {
    condition     = can(regex("^([A-Za-z0-9._/~+-]*[A-Za-z0-9._~+-])?$", var.actions_archive))
    error_message = "The name of the folder of archives may have letters, digits and ._/~+- only, and no slash at its end."
  }
}

locals {
  company_files = compact(concat(var.ca_certificates, [
    var.hook_job_started, var.hook_job_completed, var.environment, var.setup_script, var.actions_archive
  ]))
  uploaded = { for file in local.company_files : file => "${local.upload}/${basename(file)}" }
  company = {
    PROXY              = var.proxy
    NO_PROXY           = var.proxy == "" ? "" : join(",", var.no_proxy)
    CA_CERTIFICATES    = join(",", [for file in var.ca_certificates : local.uploaded[file]])
    HOOK_JOB_STARTED   = lookup(local.uploaded, var.hook_job_started, "")
    HOOK_JOB_COMPLETED = lookup(local.uploaded, var.hook_job_completed, "")
    ENVIRONMENT        = lookup(local.uploaded, var.environment, "")
    SETUP_SCRIPT       = lookup(local.uploaded, var.setup_script, "")
    ACTIONS_ARCHIVE    = lookup(local.uploaded, var.actions_archive, "")
  }
}
