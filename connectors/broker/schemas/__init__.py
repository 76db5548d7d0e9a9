"""Schemas: definitions in Avro and protocol buffers, their revisions, and messages checked by them.

service.py     the methods of SchemaService
validation.py  what a publish to a topic with a schema goes through
registry.py    schemas and their revisions, as documents of the broker's state
definition.py  what Avro (avro*.py) and protocol buffers (proto.py, protoc.py) have in common
"""
