# What `s3index provision` makes, for organisations that have Terraform make it.
#
# The policies are files of the template repository: `infra` is the path of its src/s3index/infra.
# The other variables are settings in the library's pyproject.toml. Bucket and OIDC provider exist
# once: for a second repository keep the role and its policy, and leave out the rest.

terraform {
  required_version = ">= 1.9"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.81"
    }
  }
}

variable "infra" {
  description = "Path of the template repository's folder src/s3index/infra."
  type        = string
}

variable "project" {
  description = "The project's normalized name, such as acme-common."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9]+(-[a-z0-9]+)*$", var.project))
    error_message = "Use the normalized name: a-z, 0-9 and single hyphens."
  }
}

variable "team" {
  description = "The team's prefix in the bucket."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9]+(-[a-z0-9]+)*$", var.team))
    error_message = "Use a-z, 0-9 and single hyphens."
  }
}

variable "bucket" {
  description = "The bucket of the index."
  type        = string
}

variable "access" {
  description = "Who may read: network for the two lists below, token for the edge, or public."
  type        = string

  validation {
    condition     = contains(["network", "token", "public"], var.access)
    error_message = "Use network, token or public."
  }
  validation {
    condition     = var.access != "network" || length(var.networks) + length(var.vpc_endpoints) > 0
    error_message = "The access network needs networks or vpc_endpoints."
  }
  validation {
    condition     = var.access != "token" || var.distribution != ""
    error_message = "The access token needs the distribution."
  }
}

variable "networks" {
  description = "CIDR blocks that may read; none broader than /8 (IPv4) or /32 (IPv6)."
  type        = list(string)
  default     = []
}

variable "vpc_endpoints" {
  description = "Ids of VPC endpoints for S3 that may read."
  type        = list(string)
  default     = []
}

variable "distribution" {
  description = "ARN of the edge's CloudFront distribution, which alone reads with the access token."
  type        = string
  default     = ""
}

variable "subject" {
  description = "What `gh api repos/OWNER/NAME/actions/oidc/customization/sub` calls sub_claim_prefix."
  type        = string
}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

locals {
  bucket_policy = jsondecode(templatefile("${var.infra}/bucket-policy.${var.access}.json", {
    partition     = data.aws_partition.current.partition
    bucket        = var.bucket
    networks      = join("\", \"", var.networks)
    vpc_endpoints = join("\", \"", var.vpc_endpoints)
    distribution  = var.distribution
  }))
  # An empty list lets nobody in: its statements are left out.
  statements = [
    for statement in local.bucket_policy.Statement : statement
    if !strcontains(jsonencode(statement), "[\"\"]")
  ]
  publisher_policy = templatefile("${var.infra}/publisher-policy.json", {
    partition = data.aws_partition.current.partition
    bucket    = var.bucket
    team      = var.team
    project   = var.project
  })
  publisher_trust = templatefile("${var.infra}/publisher-trust.json", {
    partition = data.aws_partition.current.partition
    account   = data.aws_caller_identity.current.account_id
    subject   = var.subject
  })
}

resource "aws_s3_bucket" "index" {
  bucket = var.bucket

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket_ownership_controls" "index" {
  bucket = aws_s3_bucket.index.id
  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_public_access_block" "index" {
  bucket                  = aws_s3_bucket.index.id
  block_public_acls       = true
  ignore_public_acls      = true
  block_public_policy     = var.access != "public"
  restrict_public_buckets = var.access != "public"
}

resource "aws_s3_bucket_versioning" "index" {
  bucket = aws_s3_bucket.index.id
  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "index" {
  bucket = aws_s3_bucket.index.id
  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_website_configuration" "index" {
  bucket = aws_s3_bucket.index.id
  index_document {
    suffix = "index.html"
  }
}

resource "aws_s3_bucket_policy" "index" {
  bucket = aws_s3_bucket.index.id
  policy = jsonencode(merge(local.bucket_policy, { Statement = local.statements }))

  # S3 refuses a public policy while the block is on.
  depends_on = [aws_s3_bucket_public_access_block.index]
}

resource "aws_iam_openid_connect_provider" "github" {
  url            = "https://token.actions.githubusercontent.com"
  client_id_list = ["sts.amazonaws.com"]
}

resource "aws_iam_role" "publisher" {
  name                 = "s3index.${var.team}.${var.project}"
  assume_role_policy   = local.publisher_trust
  max_session_duration = 3600

  depends_on = [aws_iam_openid_connect_provider.github]
}

resource "aws_iam_role_policy" "publisher" {
  name   = "s3index-publish"
  role   = aws_iam_role.publisher.id
  policy = local.publisher_policy
}

output "role" {
  description = "For the variable S3INDEX_ROLE of the environment release on GitHub."
  value       = aws_iam_role.publisher.arn
}
