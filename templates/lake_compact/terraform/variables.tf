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

variable "lake" {
  description = "Folder of the lake. For example: ./lake or gs://my-bucket/lake"
  type        = string

  validation {
    condition     = can(regex("^gs://[^/ ]+(/.*)?$", var.lake))
    error_message = "The lake must match ^gs://[^/ ]+(/.*)?$"
  }
}

variable "file_bytes" {
  description = "Size of the files that are wanted; a file of half of it or more stays as it is."
  type        = number
  default     = null
}

variable "age" {
  description = "Files that were written less than this ago stay as they are: whoever has just written one may write it again."
  type        = string
  default     = null

  validation {
    condition     = var.age == null || can(regex("^[0-9]{1,12}(ms|s|m|h|d)$", var.age))
    error_message = "The age must match ^[0-9]{1,12}(ms|s|m|h|d)$"
  }
}
