# The edge on AWS with Terraform, the same as edge.yaml: docs/edge.md. CloudFront looks for Lambda
# functions and certificates in us-east-1; the bucket may be in any region.

terraform {
  required_version = ">= 1.9"
  required_providers {
    archive = {
      source  = "hashicorp/archive"
      version = ">= 2.4"
    }
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.81"
    }
  }
}

provider "aws" {
  alias  = "edge"
  region = "us-east-1"
}

variable "bucket" {
  description = "The bucket of the index. What is made here is called like it."
  type        = string
}

variable "bucket_region" {
  description = "The region of the bucket."
  type        = string
}

variable "pypi" {
  description = "The host name of PyPI's index, as pip knows it (docs/edge.md has the command)."
  type        = string
}

variable "readers" {
  description = "Who may read behind the edge: token, those who have one, or everybody."
  type        = string
  default     = "token"

  validation {
    condition     = contains(["token", "everybody"], var.readers)
    error_message = "Use token or everybody."
  }
}

variable "domain_name" {
  description = "A domain of your own, such as packages.acme.example; empty for CloudFront's."
  type        = string
  default     = ""
}

variable "certificate" {
  description = "ARN of the domain's certificate in ACM, in us-east-1."
  type        = string
  default     = ""

  validation {
    condition     = var.domain_name == "" || var.certificate != ""
    error_message = "A domain of your own needs its certificate."
  }
}

data "aws_partition" "current" {}

resource "aws_cloudfront_key_value_store" "tokens" {
  name    = var.bucket
  comment = "Readers' tokens, kept by `s3index token`."
}

resource "aws_cloudfront_function" "viewer_request" {
  name                         = var.bucket
  comment                      = "Normalises names and asks for tokens."
  runtime                      = "cloudfront-js-2.0"
  publish                      = true
  key_value_store_associations = [aws_cloudfront_key_value_store.tokens.arn]
  code                         = templatefile("${path.module}/edge.js", { readers = var.readers })
}

resource "aws_iam_role" "missing" {
  name_prefix = "s3index-edge-"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = ["lambda.amazonaws.com", "edgelambda.amazonaws.com"] }
      Action    = "sts:AssumeRole"
    }]
  })
}

data "archive_file" "missing" {
  type                    = "zip"
  output_path             = "${path.module}/edge-origin.zip"
  source_content          = file("${path.module}/edge-origin.js")
  source_content_filename = "index.js"
}

# An origin group would also go on to PyPI when the bucket does not answer in time.
resource "aws_lambda_function" "missing" {
  provider         = aws.edge
  function_name    = "${var.bucket}-missing"
  description      = "Leads to PyPI what the bucket does not have."
  role             = aws_iam_role.missing.arn
  runtime          = "nodejs22.x"
  handler          = "index.handler"
  memory_size      = 128
  timeout          = 5
  publish          = true
  filename         = data.archive_file.missing.output_path
  source_code_hash = data.archive_file.missing.output_base64sha256
}

resource "aws_cloudfront_origin_access_control" "bucket" {
  name                              = var.bucket
  origin_access_control_origin_type = "s3"
  signing_behavior                  = "always"
  signing_protocol                  = "sigv4"
}

# Objects say themselves how long they are valid: files for ever, pages not without asking.
resource "aws_cloudfront_cache_policy" "index" {
  name        = "${var.bucket}-index"
  min_ttl     = 0
  default_ttl = 0
  max_ttl     = 31536000
  parameters_in_cache_key_and_forwarded_to_origin {
    enable_accept_encoding_gzip   = false
    enable_accept_encoding_brotli = false
    headers_config {
      header_behavior = "none"
    }
    cookies_config {
      cookie_behavior = "none"
    }
    query_strings_config {
      query_string_behavior = "none"
    }
  }
}

resource "aws_cloudfront_cache_policy" "pypi" {
  name        = "${var.bucket}-pypi"
  min_ttl     = 0
  default_ttl = 0
  max_ttl     = 3600
  parameters_in_cache_key_and_forwarded_to_origin {
    enable_accept_encoding_gzip   = true
    enable_accept_encoding_brotli = true
    headers_config {
      header_behavior = "whitelist"
      headers {
        items = ["Accept"]
      }
    }
    cookies_config {
      cookie_behavior = "none"
    }
    query_strings_config {
      query_string_behavior = "none"
    }
  }
}

# A client that kept PyPI's page would not see that the name has become ours.
resource "aws_cloudfront_response_headers_policy" "pypi" {
  name = "${var.bucket}-pypi"
  custom_headers_config {
    items {
      header   = "Cache-Control"
      value    = "no-cache"
      override = true
    }
  }
  remove_headers_config {
    items {
      header = "Strict-Transport-Security"
    }
  }
}

resource "aws_cloudfront_distribution" "edge" {
  comment         = "${var.bucket}, and PyPI behind it"
  enabled         = true
  http_version    = "http2"
  is_ipv6_enabled = true
  aliases         = var.domain_name == "" ? [] : [var.domain_name]

  # CloudFront's own domain comes with its own certificate and TLS policy.
  viewer_certificate {
    cloudfront_default_certificate = var.domain_name == ""
    acm_certificate_arn            = var.domain_name == "" ? null : var.certificate
    ssl_support_method             = var.domain_name == "" ? null : "sni-only"
    minimum_protocol_version       = var.domain_name == "" ? "TLSv1" : "TLSv1.2_2021"
  }

  restrictions {
    geo_restriction {
      restriction_type = "none"
    }
  }

  origin {
    origin_id                = "bucket"
    domain_name              = "${var.bucket}.s3.${var.bucket_region}.${data.aws_partition.current.dns_suffix}"
    origin_access_control_id = aws_cloudfront_origin_access_control.bucket.id
  }

  origin {
    origin_id   = "pypi"
    domain_name = var.pypi
    custom_origin_config {
      http_port              = 80
      https_port             = 443
      origin_protocol_policy = "https-only"
      origin_ssl_protocols   = ["TLSv1.2"]
    }
  }

  default_cache_behavior {
    target_origin_id       = "bucket"
    viewer_protocol_policy = "https-only"
    allowed_methods        = ["GET", "HEAD"]
    cached_methods         = ["GET", "HEAD"]
    cache_policy_id        = aws_cloudfront_cache_policy.index.id
    function_association {
      event_type   = "viewer-request"
      function_arn = aws_cloudfront_function.viewer_request.arn
    }
  }

  ordered_cache_behavior {
    path_pattern           = "/simple/*"
    target_origin_id       = "bucket"
    viewer_protocol_policy = "https-only"
    allowed_methods        = ["GET", "HEAD"]
    cached_methods         = ["GET", "HEAD"]
    cache_policy_id        = aws_cloudfront_cache_policy.index.id
    function_association {
      event_type   = "viewer-request"
      function_arn = aws_cloudfront_function.viewer_request.arn
    }
    lambda_function_association {
      event_type = "origin-response"
      lambda_arn = aws_lambda_function.missing.qualified_arn
    }
  }

  ordered_cache_behavior {
    path_pattern               = "/pypi/*"
    target_origin_id           = "pypi"
    viewer_protocol_policy     = "https-only"
    allowed_methods            = ["GET", "HEAD"]
    cached_methods             = ["GET", "HEAD"]
    cache_policy_id            = aws_cloudfront_cache_policy.pypi.id
    response_headers_policy_id = aws_cloudfront_response_headers_policy.pypi.id
    function_association {
      event_type   = "viewer-request"
      function_arn = aws_cloudfront_function.viewer_request.arn
    }
    lambda_function_association {
      event_type = "origin-request"
      lambda_arn = aws_lambda_function.missing.qualified_arn
    }
  }

  # What is missing or fails now may be there in a second.
  dynamic "custom_error_response" {
    for_each = [403, 404, 500, 502, 503, 504]
    content {
      error_code            = custom_error_response.value
      error_caching_min_ttl = 0
    }
  }
}

output "address" {
  description = "The setting edge in [tool.s3index] of each library."
  value       = "https://${var.domain_name == "" ? aws_cloudfront_distribution.edge.domain_name : var.domain_name}"
}

output "distribution" {
  description = "The setting distribution in [tool.s3index] of the library that provisions the bucket."
  value       = aws_cloudfront_distribution.edge.arn
}
