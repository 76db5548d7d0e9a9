# Made by python -m templates generate.
variable "project" {
  description = "Project that the job runs in."
  type        = string
}

variable "region" {
  description = "Region that the job runs in."
  type        = string
}

variable "job_name" {
  description = "Name of the job."
  type        = string
}

variable "container_spec_gcs_path" {
  description = "The template: gs://BUCKET/OBJECT."
  type        = string
}

variable "temp_location" {
  description = "Folder for temporary objects."
  type        = string
  default     = null
}

variable "staging_location" {
  description = "Folder for what workers are given."
  type        = string
  default     = null
}

variable "service_account_email" {
  description = "Account of the workers."
  type        = string
  default     = null
}

variable "machine_type" {
  description = "Of the workers."
  type        = string
  default     = null
}

variable "num_workers" {
  description = "Workers at the start."
  type        = number
  default     = null
}

variable "max_workers" {
  description = "Workers at most."
  type        = number
  default     = null
}

variable "network" {
  description = "Network of the workers."
  type        = string
  default     = null
}

variable "subnetwork" {
  description = "Subnetwork of the workers."
  type        = string
  default     = null
}

variable "labels" {
  description = "Labels of the job."
  type        = map(string)
  default     = null
}

variable "subscription" {
  description = "Subscription to read from; its backlog is part of the input. For example: projects/my-project/subscriptions/flights"
  type        = string
  default     = null

  validation {
    condition     = var.subscription == null || can(regex("^projects/[^/ ]+/subscriptions/[A-Za-z][A-Za-z0-9._~+%-]{2,254}$", var.subscription))
    error_message = "The subscription must match ^projects/[^/ ]+/subscriptions/[A-Za-z][A-Za-z0-9._~+%-]{2,254}$"
  }
}

variable "topic" {
  description = "Topic to read from, through a temporary subscription: only what is published from the start of the run on, and what a run that fails has read is gone. For example: projects/my-project/topics/flights"
  type        = string
  default     = null

  validation {
    condition     = var.topic == null || can(regex("^projects/[^/ ]+/topics/[A-Za-z][A-Za-z0-9._~+%-]{2,254}$", var.topic))
    error_message = "The topic must match ^projects/[^/ ]+/topics/[A-Za-z][A-Za-z0-9._~+%-]{2,254}$"
  }
}

variable "max_messages" {
  description = "Stop reading after this many messages (DirectRunner only)."
  type        = number
  default     = null
}

variable "max_seconds" {
  description = "Stop reading after this time. The local runner then does what --on_stop says. For example: 5m"
  type        = string
  default     = null

  validation {
    condition     = var.max_seconds == null || can(regex("^[0-9]{1,12}(ms|s|m|h|d)$", var.max_seconds))
    error_message = "The max_seconds must match ^[0-9]{1,12}(ms|s|m|h|d)$"
  }
}

variable "udf" {
  description = "Function that each row, batch or payload goes through: FILE.py:FUNCTION, or FILE.js:FUNCTION for JavaScript. See docs/pipelines/user_functions.md. For example: examples/udf/flights.py:clean or gs://my-bucket/flights.py:clean"
  type        = string
  default     = null

  validation {
    condition     = var.udf == null || can(regex("^gs://[^/ ]+/.+:[A-Za-z_$][A-Za-z0-9_$.]*$", var.udf))
    error_message = "The udf must match ^gs://[^/ ]+/.+:[A-Za-z_$][A-Za-z0-9_$.]*$"
  }
}

variable "udf_schema" {
  description = "JSON file with the columns of the rows that the function gives, in BigQuery's schema form; by default they are those that it gets. For example: examples/udf/clean.json or gs://my-bucket/clean.json"
  type        = string
  default     = null

  validation {
    condition     = var.udf_schema == null || can(regex("^gs://[^/ ]+/.+$", var.udf_schema))
    error_message = "The udf_schema must match ^gs://[^/ ]+/.+$"
  }
}

variable "udf_timeout" {
  description = "How long a call of the function may take; what it was called with is a dead letter then."
  type        = string
  default     = null

  validation {
    condition     = var.udf_timeout == null || can(regex("^[0-9]{1,12}(ms|s|m|h|d)$", var.udf_timeout))
    error_message = "The udf_timeout must match ^[0-9]{1,12}(ms|s|m|h|d)$"
  }
}

variable "udf_reload" {
  description = "How often the file is looked at, to go on with what it has become. By default never. For example: 1m"
  type        = string
  default     = null

  validation {
    condition     = var.udf_reload == null || can(regex("^[0-9]{1,12}(ms|s|m|h|d)$", var.udf_reload))
    error_message = "The udf_reload must match ^[0-9]{1,12}(ms|s|m|h|d)$"
  }
}

variable "udf_outputs" {
  description = "Outputs that the function may name, each a topic, or a folder that becomes an archive. For example: late=projects/my-project/topics/late,odd=gs://my-bucket/odd"
  type        = list(string)
  default     = null
}

variable "output_topic" {
  description = "Topic to publish to. With fields in braces each message goes to its own; one that lacks a field, or has a value that makes no name, is a dead letter. For example: projects/my-project/topics/flights or projects/my-project/topics/{attribute:kind}"
  type        = string

  validation {
    condition     = can(regex("^projects/[^/]+/topics/.+$", var.output_topic))
    error_message = "The output_topic must match ^projects/[^/]+/topics/.+$"
  }
}

variable "missing_topic" {
  description = "What becomes of messages whose topic does not exist: stop, or dead for a dead letter. By default stop for one topic, and dead where there are fields in braces. For example: stop"
  type        = string
  default     = null

  validation {
    condition     = var.missing_topic == null || can(regex("^(stop|dead)$", var.missing_topic))
    error_message = "The missing_topic must match ^(stop|dead)$"
  }
}

variable "dead_letter" {
  description = "Where to keep what was rejected, with the reason and the whole message: a topic, a BigQuery table PROJECT.DATASET.TABLE, or a folder. For example: ./dead_letters or gs://my-bucket/dead_letters or projects/my-project/topics/dead"
  type        = string

  validation {
    condition     = can(regex("^(gs://[^/ ]+(/.*)?|projects/[^/ ]+/topics/[A-Za-z][A-Za-z0-9._~+%-]{2,254}|[^/ ]+[.:][^/ ]+[.].+|projects/[^/ ]+/datasets/[^/ ]+/tables/[^/]+)$", var.dead_letter))
    error_message = "The dead_letter must match ^(gs://[^/ ]+(/.*)?|projects/[^/ ]+/topics/[A-Za-z][A-Za-z0-9._~+%-]{2,254}|[^/ ]+[.:][^/ ]+[.].+|projects/[^/ ]+/datasets/[^/ ]+/tables/[^/]+)$"
  }
}

variable "schema" {
  description = "JSON file with the columns of the payload in BigQuery's schema form, if --where or --output_topic name any. For example: flights.json or gs://my-bucket/flights.json"
  type        = string
  default     = null

  validation {
    condition     = var.schema == null || can(regex("^gs://[^/ ]+/.+$", var.schema))
    error_message = "The schema must match ^gs://[^/ ]+/.+$"
  }
}

variable "where" {
  description = "Only messages for which this is true. For example: attribute:kind = \"click\" AND n > 5"
  type        = string
  default     = null
}

variable "id_attribute" {
  description = "Attribute that gets the id of the message that was read; none by default. For example: source_message_id"
  type        = string
  default     = null

  validation {
    condition     = var.id_attribute == null || can(regex("^.{1,256}$", var.id_attribute))
    error_message = "The id_attribute must match ^.{1,256}$"
  }
}
