"""The HTTP interface: one module a resource; handlers call one function of the service each."""
