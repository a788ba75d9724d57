"""Parts of a service that are worth a page of their own."""
