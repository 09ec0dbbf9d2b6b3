# SPDX-License-Identifier: MIT
# The machine that builds an image, and the image that comes of it.
packer {
  required_version = ">= 1.10.0"
  required_plugins {
    amazon = {
      source  = "github.com/hashicorp/amazon"
      version = ">= 1.3.1, < 2.0.0"
    }
  }
}

locals {
  # Publisher and name of the stock images: wiki.debian.org/Cloud/AmazonEC2Image, documentation.ubuntu.com/aws,
  # and Amazon's own with the default kernel. Amazon's minimal image will not do: it
  # has no agent of Systems Manager.
  bases = {
    "debian-12" = {
      owner = "136693071363"
      name  = "debian-12-${local.debian_architecture}-*"
      user  = "admin"
      root  = "/dev/xvda"
    }
    "debian-13" = {
      owner = "136693071363"
      name  = "debian-13-${local.debian_architecture}-*"
      user  = "admin"
      root  = "/dev/xvda"
    }
    "ubuntu-24.04" = {
      owner = "099720109477"
      name  = "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-${local.debian_architecture}-server-*"
      user  = "ubuntu"
      root  = "/dev/sda1"
    }
    "ubuntu-26.04" = {
      owner = "099720109477"
      name  = "ubuntu/images/hvm-ssd-gp3/ubuntu-resolute-26.04-${local.debian_architecture}-server-*"
      user  = "ubuntu"
      root  = "/dev/sda1"
    }
    "amazon-linux-2023" = {
      owner = "amazon"
      name  = "al2023-ami-2023.*-kernel-6.1-${var.architecture}"
      user  = "ec2-user"
      root  = "/dev/xvda"
    }
  }
  base                = local.bases[var.distribution]
  debian_architecture = var.architecture == "arm64" ? "arm64" : "amd64"
  instance_type       = var.architecture == "arm64" ? "m7g.large" : "m7i.large"
  name                = "${var.name}-${var.distribution}-${var.architecture}"
  time                = timestamp()

  tags = merge(var.tags, {
    "Name"                        = local.name
    "scale-agent:distribution"    = var.distribution
    "scale-agent:profile"         = var.profile
    "scale-agent:architecture"    = var.architecture
    "scale-agent:agent-version"   = var.agent_version
    "scale-agent:runner-version"  = var.runner_version
    "scale-agent:job-metadata"    = var.job_metadata
    "scale-agent:git-revision"    = var.git_revision
    "scale-agent:source-ami"      = "{{ .SourceAMI }}"
    "scale-agent:source-ami-name" = "{{ .SourceAMIName }}"
  })
  run_tags = merge(var.tags, {
    "Name"                    = "${local.name} (image build)"
    "scale-agent:image-build" = var.build_id
  })
}

source "amazon-ebs" "runner" {
  region        = var.region
  instance_type = var.instance_type == "" ? local.instance_type : var.instance_type
  source_ami    = var.source_ami == "" ? null : var.source_ami
  dynamic "source_ami_filter" {
    for_each = var.source_ami == "" ? [local.base] : []
    content {
      owners      = [source_ami_filter.value.owner]
      most_recent = true
      filters = {
        name                = source_ami_filter.value.name
        architecture        = var.architecture
        root-device-type    = "ebs"
        virtualization-type = "hvm"
      }
    }
  }

  # -- while it builds ----------------------------------------------------------------------------
  vpc_id                                    = var.vpc_id == "" ? null : var.vpc_id
  subnet_id                                 = var.subnet_id == "" ? null : var.subnet_id
  iam_instance_profile                      = var.instance_profile == "" ? null : var.instance_profile
  associate_public_ip_address               = var.ssh_interface == "public_ip" ? true : null
  temporary_security_group_source_public_ip = var.ssh_interface == "public_ip" ? true : null
  temporary_security_group_source_cidrs = var.ssh_interface == "private_ip" ? [
    "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"
  ] : null
  communicator            = "ssh"
  ssh_interface           = var.ssh_interface
  ssh_username            = local.base.user
  ssh_timeout             = "10m"
  temporary_key_pair_type = "ed25519" # ami/install removes what is authorized
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  # If Packer cannot terminate the machine, the machine ends itself.
  shutdown_behavior = "terminate"
  user_data         = "#!/bin/sh\nexec systemd-run --on-active=2h systemctl poweroff\n"
  run_tags          = local.run_tags
  run_volume_tags   = local.run_tags

  # Throughput speeds the build up. The image keeps this value; launch templates override it, as the stack's does.
  launch_block_device_mappings {
    device_name           = local.base.root
    volume_type           = "gp3"
    volume_size           = var.volume_size
    iops                  = 3000
    throughput            = 500
    encrypted             = var.encrypted ? true : null
    kms_key_id            = var.kms_key_id == "" ? null : var.kms_key_id
    delete_on_termination = true
  }

  # -- the image ----------------------------------------------------------------------------------
  ami_name                = "${local.name}-${formatdate("YYYYMMDD-hhmmss", local.time)}"
  ami_description         = "GitHub Actions runner ${var.runner_version} with scale-agent's runner-agent ${var.agent_version}"
  ami_virtualization_type = "hvm"
  ena_support             = true
  imds_support            = "v2.0"
  ami_users               = var.share_accounts
  ami_regions             = var.copy_regions
  deprecate_at            = var.deprecate_days == 0 ? null : timeadd(local.time, "${var.deprecate_days * 24}h")
  tags                    = local.tags
  snapshot_tags           = local.tags
}
