# Made by python -m templates generate.
terraform {
  required_providers {
    google-beta = {
      source  = "hashicorp/google-beta"
      version = ">= 5.0"
    }
  }
}

locals {
  parameters = {
    subscription     = var.subscription
    topic            = var.topic
    max_messages     = tostring(var.max_messages)
    max_seconds      = var.max_seconds
    schema           = var.schema
    udf              = var.udf
    udf_schema       = var.udf_schema
    udf_timeout      = var.udf_timeout
    udf_reload       = var.udf_reload
    udf_outputs      = var.udf_outputs == null ? null : join(",", var.udf_outputs)
    event_time       = var.event_time
    disorder         = var.disorder
    idle             = var.idle
    dedup_by         = var.dedup_by == null ? null : join(",", var.dedup_by)
    dedup_horizon    = var.dedup_horizon
    window           = var.window
    allowed_lateness = var.allowed_lateness
    trigger          = var.trigger
    output           = var.output
    partition_by     = var.partition_by == null ? null : join(",", var.partition_by)
    output_topic     = var.output_topic
    id_attribute     = var.id_attribute
    output_table     = var.output_table
    dead_letter      = var.dead_letter
    by               = var.by == null ? null : join(",", var.by)
    measures         = join(",", var.measures)
  }
}

resource "google_dataflow_flex_template_job" "job" {
  provider = google-beta

  name                    = var.job_name
  project                 = var.project
  region                  = var.region
  container_spec_gcs_path = var.container_spec_gcs_path
  temp_location           = var.temp_location
  staging_location        = var.staging_location
  service_account_email   = var.service_account_email
  machine_type            = var.machine_type
  num_workers             = var.num_workers
  max_workers             = var.max_workers
  network                 = var.network
  subnetwork              = var.subnetwork
  labels                  = var.labels

  on_delete = "drain"

  # Every value is a text; what is null stays out.
  parameters = { for name, value in local.parameters : name => value if value != null }
}
