"""The HTTP API: what comes in and out, who may ask, how much, and how errors are told."""
