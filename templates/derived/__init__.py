"""What is made from the declarations of templates: metadata, schemas, pages, Terraform."""
