"""The Serve deployments: thin shells around plain objects."""
