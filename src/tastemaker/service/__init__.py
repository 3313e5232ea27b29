"""The service: a store of events, an HTTP API, and a home page that shows what people would see."""
