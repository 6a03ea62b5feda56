"""Where videos come from: http(s), files, data URIs."""
