"""Prompt tasks."""
