"""The Serve application: fetch, decode and caption videos."""
