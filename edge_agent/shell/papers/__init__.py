"""Certificates, the device's and its parent's: who reads them (`own`, short-lived) and who asks for it (`clerk`)."""
