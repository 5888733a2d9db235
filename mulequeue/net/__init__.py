"""HTTP connections, without any knowledge of MuleRouter."""
