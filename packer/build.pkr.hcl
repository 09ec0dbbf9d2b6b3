# SPDX-License-Identifier: MIT
# What happens on the machine: Packer uploads ami/ and the agent's package, runs ami/install as root, and removes
# what it uploaded.
locals {
  upload        = "/var/tmp/scale-agent-image"
  local_archive = var.runner_archive == "" || can(regex("^https?://", var.runner_archive)) ? "" : var.runner_archive
  settings = {
    AGENT_PACKAGE  = "${local.upload}/${basename(var.agent_package)}"
    RUNNER_VERSION = var.runner_version
    RUNNER_SHA256  = var.runner_sha256[var.architecture]
    RUNNER_ARCHIVE = local.local_archive == "" ? var.runner_archive : "${local.upload}/${basename(local.local_archive)}"
    PROFILE        = var.profile
    TOOLS          = join(" ", var.tools)
    RUNNER_SUDO    = var.runner_sudo == null ? "" : var.runner_sudo ? "yes" : "no"
    DOCKER         = var.docker == null ? "" : var.docker ? "yes" : "no"
    TOOLS_MIRROR   = var.tools_mirror
    DOCKER_FROM    = var.docker_from
    BUILD_TOOLS    = var.build_tools ? "yes" : "no"
    EXTRA_PACKAGES = join(" ", var.extra_packages)
    JOB_METADATA   = var.job_metadata
    LIFE_HOURS     = "${var.life_hours}"
    PREFIX         = var.prefix
    SSH            = var.ssh ? "yes" : "no"
    INSTANCE_STORE = var.instance_store
    SWAP           = "${var.swap}"
  }
  # Single quotes suffice: the variables' conditions allow none in a value.
  environment = [for name, value in merge(local.settings, local.company) : "${name}='${value}'" if value != ""]
}

build {
  sources = ["source.amazon-ebs.runner"]

  # cloud-init must have finished; status 2 is "done, with warnings".
  provisioner "shell" {
    inline = [
      "cloud-init status --wait >/dev/null || [ $? -eq 2 ] || { cloud-init status --long >&2; exit 1; }",
      "mkdir ${local.upload}",
    ]
  }
  provisioner "file" {
    source      = "${path.root}/../ami"
    destination = local.upload
  }
  provisioner "file" {
    sources     = concat(compact([var.agent_package, local.local_archive]), local.company_files)
    destination = "${local.upload}/"
  }
  provisioner "shell" {
    timeout = "45m"
    inline = [
      "sudo env ${join(" ", local.environment)} ${local.upload}/ami/install",
      "cd /",
      "sudo rm -rf ${local.upload}",
    ]
  }

  post-processor "manifest" {
    output     = "${path.root}/../build/ami-manifest-${var.architecture}.json"
    strip_path = true
    custom_data = {
      distribution   = var.distribution
      profile        = var.profile
      runner_version = var.runner_version
      agent_version  = var.agent_version
      git_revision   = var.git_revision
    }
  }
}
