"""The routes: each handler reads a request, submits a command or a query, and writes the answer.

A module for each resource; `ROUTES` says what it answers.
"""
