"""An embedded, durable Pub/Sub server that any Pub/Sub client can talk to."""
