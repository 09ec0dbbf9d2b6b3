# SPDX-License-Identifier: MIT
# The settings of an image. `make ami` sets these; without it: packer build -var NAME=VALUE, a file of them
# (-var-file), or the environment (PKR_VAR_NAME). A condition sees its own variable only, so
# packer/ami checks those that depend on each other.

# -- where and of what ----------------------------------------------------------------------------
variable "region" {
  type        = string
  description = "Region in which the image is built."
  validation {
    condition     = can(regex("^[a-z]{2,4}(-[a-z]+)+-[0-9]+$", var.region))
    error_message = "The region must be an AWS region, such as eu-central-1."
  }
}

variable "distribution" {
  type        = string
  default     = "ubuntu-24.04"
  description = "ubuntu-24.04, ubuntu-26.04, debian-12, debian-13 or amazon-linux-2023; the build begins with its newest stock image."
  validation {
    condition     = contains(["ubuntu-24.04", "ubuntu-26.04", "debian-12", "debian-13", "amazon-linux-2023"], var.distribution)
    error_message = "The distribution must be ubuntu-24.04, ubuntu-26.04, debian-12, debian-13 or amazon-linux-2023."
  }
}

variable "architecture" {
  type        = string
  default     = "x86_64"
  description = "x86_64, or arm64 for Graviton."
  validation {
    condition     = contains(["x86_64", "arm64"], var.architecture)
    error_message = "The architecture must be x86_64 or arm64."
  }
}

variable "source_ami" {
  type        = string
  default     = ""
  description = "Image to begin with instead of the newest stock image, of the same distribution and architecture."
  validation {
    condition     = can(regex("^(ami-[0-9a-f]{8,17})?$", var.source_ami))
    error_message = "The image to begin with must be the id of an image, such as ami-0123456789abcdef0."
  }
}

# -- what goes into it ----------------------------------------------------------------------------
variable "agent_package" {
  type        = string
  description = "The runner-agent's package: .deb for Debian and Ubuntu, .rpm for Amazon Linux (make package)."
  validation {
    condition     = can(regex("\\.(deb|rpm)$", var.agent_package))
    error_message = "The runner-agent's package must be a .deb or .rpm file."
  }
  validation {
    condition     = can(regex("^[A-Za-z0-9._/+~-]+$", var.agent_package)) && fileexists(abspath(var.agent_package))
    error_message = "There is no such package of the runner-agent; `make package` builds it."
  }
}

variable "runner_archive" {
  type        = string
  default     = ""
  description = "URL or local file of GitHub's runner; empty takes the release from GitHub."
  validation {
    condition     = can(regex("^([A-Za-z0-9._/:?=&%+~-]+\\.tar\\.gz)?$", var.runner_archive))
    error_message = "The runner's archive must be the URL or the name of a .tar.gz file."
  }
}

variable "profile" {
  type        = string
  default     = "hosted"
  description = "hosted: what workflows written for ubuntu-latest find there, on Debian and Ubuntu; minimal: the runner, git and a compiler."
  validation {
    condition     = contains(["hosted", "minimal"], var.profile)
    error_message = "The profile must be hosted or minimal."
  }
}

variable "tools" {
  type        = list(string)
  default     = []
  description = "Groups of further packages: java, browser, db."
  validation {
    condition     = can([for name in var.tools : regex("^(java|browser|db)$", name)])
    error_message = "The tools must be among java, browser and db."
  }
}

variable "tools_mirror" {
  type        = string
  default     = ""
  description = "URL that ends in a slash: a mirror of the programs of ami/packages/tools.pins; empty takes them from their makers."
  validation {
    condition     = can(regex("^(https?://[A-Za-z0-9._/:~-]+/)?$", var.tools_mirror))
    error_message = "The mirror of the tools must be a URL that ends in a slash."
  }
}

variable "docker_from" {
  type        = string
  default     = ""
  description = "Docker's archive of packages or a mirror of it, or distribution; empty: as the profile says."
  validation {
    condition     = can(regex("^(distribution|https?://[A-Za-z0-9._/:~-]+[A-Za-z0-9])?$", var.docker_from))
    error_message = "The source of Docker must be distribution, or a URL without a slash at its end."
  }
}

variable "runner_sudo" {
  type        = bool
  default     = null
  description = "Whether jobs may use sudo; null: as the profile says. A job that is root can also remove the metadata guard."
}

variable "docker" {
  type        = bool
  default     = null
  description = "Whether jobs have Docker, which makes them as good as root; null: as the profile says."
}

variable "build_tools" {
  type        = bool
  default     = true
  description = "Whether the image has git, a C compiler, make and the like."
}

variable "extra_packages" {
  type        = list(string)
  default     = []
  description = "Further packages of the distribution."
  validation {
    condition     = can([for name in var.extra_packages : regex("^[A-Za-z0-9][A-Za-z0-9.+:_-]*$", name)])
    error_message = "The extra packages must be names of packages."
  }
}

variable "job_metadata" {
  type        = string
  default     = "deny"
  description = "deny keeps jobs from the instance metadata, and so from the machine's role; allow does not."
  validation {
    condition     = contains(["deny", "allow"], var.job_metadata)
    error_message = "The access of jobs to instance metadata must be deny or allow."
  }
}

variable "life_hours" {
  type        = number
  default     = 7
  description = "Hours until a machine is powered off, whatever it does; jobs may take half an hour less."
  validation {
    condition     = var.life_hours >= 1 && var.life_hours <= 168 && floor(var.life_hours) == var.life_hours
    error_message = "The hours of a machine's life must be a whole number from 1 to 168."
  }
}

variable "ssh" {
  type        = bool
  default     = false
  description = "Whether machines have an SSH server, for the key pair that the launch names."
}

variable "instance_store" {
  type        = string
  default     = "auto"
  description = "auto puts what jobs write on the machine's instance volumes, where it has any; no does not."
  validation {
    condition     = contains(["auto", "no"], var.instance_store)
    error_message = "The use of instance volumes must be auto or no."
  }
}

variable "swap" {
  type        = number
  default     = 0
  description = "GiB of swap, on the instance store where there is one."
  validation {
    condition     = var.swap >= 0 && var.swap <= 9999 && floor(var.swap) == var.swap
    error_message = "The swap must be a whole number of GiB from 0 to 9999."
  }
}

variable "prefix" {
  type        = string
  default     = "/scale-agent"
  description = "The stack's Prefix with a slash before it; SSM parameters live below it."
  validation {
    condition     = can(regex("^/[a-z][a-z0-9-]{1,30}$", var.prefix))
    error_message = "The prefix must be a slash, then 2 to 31 lower-case letters, digits and hyphens."
  }
}

# -- the machine that builds it -------------------------------------------------------------------
variable "instance_type" {
  type        = string
  default     = ""
  description = "Type of the machine that builds; empty: m7i.large, or m7g.large for arm64."
  validation {
    condition     = can(regex("^([a-z0-9-]+\\.[a-z0-9-]+)?$", var.instance_type))
    error_message = "The instance type must be one of EC2's, such as m7i.large."
  }
}

variable "subnet_id" {
  type        = string
  default     = ""
  description = "Subnet to build in, which has to reach the internet; empty: one of the default VPC."
  validation {
    condition     = can(regex("^(subnet-[0-9a-f]{8,17})?$", var.subnet_id))
    error_message = "The subnet must be the id of one, such as subnet-0123456789abcdef0."
  }
}

variable "vpc_id" {
  type        = string
  default     = ""
  description = "VPC of the subnet; empty asks AWS for it."
  validation {
    condition     = can(regex("^(vpc-[0-9a-f]{8,17})?$", var.vpc_id))
    error_message = "The VPC must be the id of one, such as vpc-0123456789abcdef0."
  }
}

variable "ssh_interface" {
  type        = string
  default     = "public_ip"
  description = "How Packer connects: public_ip (from this machine's address only), private_ip, or session_manager."
  validation {
    condition     = contains(["public_ip", "private_ip", "session_manager"], var.ssh_interface)
    error_message = "The way that Packer connects must be public_ip, private_ip or session_manager."
  }
}

variable "instance_profile" {
  type        = string
  default     = ""
  description = "Instance profile of the machine that builds; session_manager needs one that Systems Manager accepts."
  validation {
    condition     = can(regex("^[A-Za-z0-9+=,.@_-]*$", var.instance_profile))
    error_message = "The instance profile must be the name of one, not its ARN."
  }
}

# -- the image ------------------------------------------------------------------------------------
variable "name" {
  type        = string
  default     = "scale-agent"
  description = "Beginning of the image's name; distribution, architecture and time follow."
  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9._/-]{2,63}$", var.name))
    error_message = "The name must be 3 to 64 letters, digits, dots, slashes, hyphens and underscores."
  }
}

variable "volume_size" {
  type        = number
  default     = 12
  description = "GiB of the root volume; machines may have more, never less. Only written blocks cost."
  validation {
    condition     = var.volume_size >= 8 && var.volume_size <= 16384
    error_message = "The volume's size must be from 8 to 16384 GiB."
  }
}

variable "encrypted" {
  type        = bool
  default     = true
  description = "Whether the snapshot is encrypted. If not, EC2 encrypts each machine's volume anew, which takes time."
}

variable "kms_key_id" {
  type        = string
  default     = ""
  description = "Key for an encrypted image (id, ARN or alias/NAME); empty: the account's key for EBS."
  validation {
    condition     = can(regex("^(alias/[A-Za-z0-9/_-]+|arn:[a-z-]+:kms:[A-Za-z0-9:/_-]+|(mrk-)?[0-9a-f-]{32,36})?$", var.kms_key_id))
    error_message = "The KMS key must be an id, an ARN or alias/NAME."
  }
}

variable "share_accounts" {
  type        = list(string)
  default     = []
  description = "Accounts that may launch the image; impossible if the account's own key for EBS encrypts it."
  validation {
    condition     = can([for account in var.share_accounts : regex("^[0-9]{12}$", account)])
    error_message = "The accounts to share with must be numbers of 12 digits."
  }
}

variable "copy_regions" {
  type        = list(string)
  default     = []
  description = "Further regions that get a copy of the image, with its tags and permissions."
  validation {
    condition     = can([for name in var.copy_regions : regex("^[a-z]{2,4}(-[a-z]+)+-[0-9]+$", name)])
    error_message = "The regions to copy to must be AWS regions, such as eu-west-1."
  }
}

variable "deprecate_days" {
  type        = number
  default     = 90
  description = "Days until AWS lists the image as deprecated; 0: never. A deprecated image can be launched."
  validation {
    condition     = var.deprecate_days >= 0 && var.deprecate_days <= 3650
    error_message = "The days until the image is deprecated must be from 0 to 3650."
  }
}

variable "tags" {
  type        = map(string)
  default     = {}
  description = "Further tags of the image, its snapshots and the machine that builds it."
}

# -- set by `make ami` ----------------------------------------------------------------------------
variable "agent_version" {
  type        = string
  default     = "unknown"
  description = "Version of the runner-agent, for a tag."
}

variable "git_revision" {
  type        = string
  default     = "unknown"
  description = "Commit that the image was built from, for a tag."
}

variable "build_id" {
  type        = string
  default     = "by-hand"
  description = "Name of this build, in the tag scale-agent:image-build of all that it creates."
}
