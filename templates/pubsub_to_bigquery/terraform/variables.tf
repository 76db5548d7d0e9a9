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

variable "schema" {
  description = "JSON file with the columns of the payload in BigQuery's schema form. For example: flights.json or gs://my-bucket/flights.json"
  type        = string

  validation {
    condition     = can(regex("^gs://[^/ ]+/.+$", var.schema))
    error_message = "The schema must match ^gs://[^/ ]+/.+$"
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

variable "dedup_by" {
  description = "What makes an event the same: columns, attribute:NAME or message:message_id."
  type        = list(string)
  default     = null
}

variable "dedup_horizon" {
  description = "How long a repeated event is recognised, in event time."
  type        = string
  default     = null

  validation {
    condition     = var.dedup_horizon == null || can(regex("^[0-9]{1,12}(ms|s|m|h|d)$", var.dedup_horizon))
    error_message = "The dedup_horizon must match ^[0-9]{1,12}(ms|s|m|h|d)$"
  }
}

variable "table" {
  description = "Table to write to, or a template of one: {COLUMN} and {attribute:NAME} stand for values of the row. For example: my-project.flights.departures or my-project.events.{attribute:kind}"
  type        = string

  validation {
    condition     = can(regex("^([^/ ]+[.:][^/ ]+[.].+|projects/[^/ ]+/datasets/[^/ ]+/tables/[^/]+)$", var.table))
    error_message = "The table must match ^([^/ ]+[.:][^/ ]+[.].+|projects/[^/ ]+/datasets/[^/ ]+/tables/[^/]+)$"
  }
}

variable "semantics" {
  description = "How often a row is in the table after failures. exactly_once needs a runner with durable state, and rows appear about two seconds later."
  type        = string
  default     = null

  validation {
    condition     = var.semantics == null || can(regex("^(at_least_once|exactly_once)$", var.semantics))
    error_message = "The semantics must match ^(at_least_once|exactly_once)$"
  }
}

variable "message_columns" {
  description = "Parts of the message to keep in columns of their names: data, attributes, message_id, publish_time, ordering_key, delivery_attempt. For example: message_id,publish_time,attributes"
  type        = list(string)
  default     = null
}

variable "change_type" {
  description = "Where UPSERT or DELETE stands: rows are then changes by the table's primary key. For example: attribute:operation"
  type        = string
  default     = null
}

variable "change_sequence" {
  description = "Which of two changes is later: an integer, or hexadecimal text. For example: version"
  type        = string
  default     = null
}

variable "shards" {
  description = "Parallel parts of de-duplication, and with exactly_once streams of each table."
  type        = number
  default     = null
}

variable "if_missing" {
  description = "What to do about a table that does not exist."
  type        = string
  default     = null

  validation {
    condition     = var.if_missing == null || can(regex("^(refuse|create)$", var.if_missing))
    error_message = "The if_missing must match ^(refuse|create)$"
  }
}

variable "partition_by" {
  description = "Partitions: hour, day, month or year(COLUMN), or of the time of arrival, as day(). For example: day(departure)"
  type        = string
  default     = null

  validation {
    condition     = var.partition_by == null || can(regex("^(hour|day|month|year)[(].*[)]$", var.partition_by))
    error_message = "The partition_by must match ^(hour|day|month|year)[(].*[)]$"
  }
}

variable "partition_expiration" {
  description = "How long a partition is kept. For example: 90d"
  type        = string
  default     = null

  validation {
    condition     = var.partition_expiration == null || can(regex("^[0-9]{1,12}(ms|s|m|h|d)$", var.partition_expiration))
    error_message = "The partition_expiration must match ^[0-9]{1,12}(ms|s|m|h|d)$"
  }
}

variable "cluster_by" {
  description = "Up to four columns to cluster by. For example: carrier,origin"
  type        = list(string)
  default     = null
}

variable "primary_key" {
  description = "Columns that tell rows apart; needed for --change_type. For example: flight_id"
  type        = list(string)
  default     = null
}

variable "table_expiration" {
  description = "How long a table is kept, from its making on. For example: 365d"
  type        = string
  default     = null

  validation {
    condition     = var.table_expiration == null || can(regex("^[0-9]{1,12}(ms|s|m|h|d)$", var.table_expiration))
    error_message = "The table_expiration must match ^[0-9]{1,12}(ms|s|m|h|d)$"
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
