"""What is carried: bundles for devices, and of them."""
