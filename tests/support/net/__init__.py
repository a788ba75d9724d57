"""Several hosts on one machine: network namespaces, and between them a switch whose ways can be made bad."""
