"""What tables and descriptions say of hubs: this one, its policies, copies that were taken over."""
