"""What the person at the device decides, beside overrides of single services (core/services/overrides)."""
