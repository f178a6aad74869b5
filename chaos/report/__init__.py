"""What a run comes to: as text for the terminal, as one HTML page, and live while it runs."""

from chaos.report.text import report

__all__ = ["report"]
