"""The front door: HTTP in, commands to the log, answers out.

- `config` reads the settings, `process` wires node, machine and door, `duties` is the leader's.
- `door` takes a request, `router` finds its handler, `calls` reads it, `answers` and `problems`
  write what goes back.
- `gateway` is the way to the log and to the machine: `submissions` keeps every command's outcome
  known, `waits` are the callers whose answer is an event, `reading` shares read barriers.
"""
