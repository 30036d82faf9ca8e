"""The shared engine on NATS JetStream."""
