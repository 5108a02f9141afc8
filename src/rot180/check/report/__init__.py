"""What a person or a program is told: findings, formulas, scripts, the report."""

from rot180.check.report._builds import to_github, to_junit
from rot180.check.report._causes import causes
from rot180.check.report._export import to_json, to_markdown, write_reproductions
from rot180.check.report._findings import SHRINKING, findings, lenient_findings
from rot180.check.report._render import show
from rot180.check.report._report import Report

__all__ = [
    "SHRINKING", "Report", "causes", "findings", "lenient_findings", "show",
    "to_github", "to_json", "to_junit", "to_markdown", "write_reproductions",
]  # fmt: skip
