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
  description = "JSON file with the columns of the payload in BigQuery's schema form. Without it every message is kept as it is, byte for byte. For example: flights.json or gs://my-bucket/flights.json"
  type        = string
  default     = null

  validation {
    condition     = var.schema == null || can(regex("^gs://[^/ ]+/.+$", var.schema))
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

variable "event_time" {
  description = "Where a row's event time is: a column, attribute:NAME or message:publish_time."
  type        = string
  default     = null
}

variable "disorder" {
  description = "How much earlier than another an event may be that is published after it; what is earlier still is late. Counts without end, where event time is not the publish time."
  type        = string
  default     = null

  validation {
    condition     = var.disorder == null || can(regex("^[0-9]{1,12}(ms|s|m|h|d)$", var.disorder))
    error_message = "The disorder must match ^[0-9]{1,12}(ms|s|m|h|d)$"
  }
}

variable "idle" {
  description = "When nothing has come for this time, event time follows the clock and windows close: for events that happen now. By default it waits for the next event: for any others too. For example: 10s"
  type        = string
  default     = null

  validation {
    condition     = var.idle == null || can(regex("^[0-9]{1,12}(ms|s|m|h|d)$", var.idle))
    error_message = "The idle must match ^[0-9]{1,12}(ms|s|m|h|d)$"
  }
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

variable "window" {
  description = "Windows of event time: SIZE or fixed:SIZE, sliding:SIZE/PERIOD or session:GAP. Each window is a file at least."
  type        = string
  default     = null

  validation {
    condition     = var.window == null || can(regex("^((fixed:)?[0-9]{1,12}(ms|s|m|h|d)|sliding:[0-9]{1,12}(ms|s|m|h|d)/[0-9]{1,12}(ms|s|m|h|d)|session:[0-9]{1,12}(ms|s|m|h|d)(/.+)?)$", var.window))
    error_message = "The window must match ^((fixed:)?[0-9]{1,12}(ms|s|m|h|d)|sliding:[0-9]{1,12}(ms|s|m|h|d)/[0-9]{1,12}(ms|s|m|h|d)|session:[0-9]{1,12}(ms|s|m|h|d)(/.+)?)$"
  }
}

variable "allowed_lateness" {
  description = "How long after its window a late row is still written, to a file of its own."
  type        = string
  default     = null

  validation {
    condition     = var.allowed_lateness == null || can(regex("^[0-9]{1,12}(ms|s|m|h|d)$", var.allowed_lateness))
    error_message = "The allowed_lateness must match ^[0-9]{1,12}(ms|s|m|h|d)$"
  }
}

variable "trigger" {
  description = "When a window is written: at_watermark, or early:DURATION for files before that."
  type        = string
  default     = null

  validation {
    condition     = var.trigger == null || can(regex("^(at_watermark|early:[0-9]{1,12}(ms|s|m|h|d))$", var.trigger))
    error_message = "The trigger must match ^(at_watermark|early:[0-9]{1,12}(ms|s|m|h|d))$"
  }
}

variable "output" {
  description = "Folder for the objects. For example: gs://my-bucket/clicks or ./clicks"
  type        = string

  validation {
    condition     = can(regex("^gs://[^/ ]+(/.*)?$", var.output))
    error_message = "The output must match ^gs://[^/ ]+(/.*)?$"
  }
}

variable "format" {
  description = "Format and codec: jsonl:gzip, zstd or none; avro:deflate, zstandard or null; parquet:zstd, snappy, gzip, lz4 or none. For example: jsonl:zstd"
  type        = string
  default     = null

  validation {
    condition     = var.format == null || can(regex("^(avro|jsonl|parquet)(:[a-z0-9]+)?$", var.format))
    error_message = "The format must match ^(avro|jsonl|parquet)(:[a-z0-9]+)?$"
  }
}

variable "folders" {
  description = "Folders below the output by the start of the window in UTC, with %Y %m %d %H %M %S %j. For example: dt=%Y-%m-%d/hour=%H"
  type        = string
  default     = null
}

variable "shards" {
  description = "Parallel parts of de-duplication, and objects of each window on a runner without end."
  type        = number
  default     = null
}

variable "dead_letter" {
  description = "Where to keep what was rejected, with the reason and the whole message: a topic, a BigQuery table PROJECT.DATASET.TABLE, or a folder. For example: ./dead_letters or gs://my-bucket/dead_letters or projects/my-project/topics/dead"
  type        = string

  validation {
    condition     = can(regex("^(gs://[^/ ]+(/.*)?|projects/[^/ ]+/topics/[A-Za-z][A-Za-z0-9._~+%-]{2,254}|[^/ ]+[.:][^/ ]+[.].+|projects/[^/ ]+/datasets/[^/ ]+/tables/[^/]+)$", var.dead_letter))
    error_message = "The dead_letter must match ^(gs://[^/ ]+(/.*)?|projects/[^/ ]+/topics/[A-Za-z][A-Za-z0-9._~+%-]{2,254}|[^/ ]+[.:][^/ ]+[.].+|projects/[^/ ]+/datasets/[^/ ]+/tables/[^/]+)$"
  }
}
