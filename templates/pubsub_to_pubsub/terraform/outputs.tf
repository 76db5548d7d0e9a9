# Made by python -m templates generate.
output "job_id" {
  description = "Number of the job, by which Dataflow knows it."
  value       = google_dataflow_flex_template_job.job.job_id
}
