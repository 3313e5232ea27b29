"""The pages: what people would see, and what the system does, drawn on the server."""
