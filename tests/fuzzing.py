"""Requests that Schemathesis makes of the OpenAPI document, and what is wrong with the answers.

Everything happens in this process: the app is called without a server.
"""

from collections import Counter
from dataclasses import dataclass, field

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import checks
from schemathesis.core.failures import FailureGroup

READINESS = ("/readyz", "/-/ready")  # 503 is what they say without a worker
NAMES = (
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)


@dataclass
class Report:
    """The number of cases by operation, the statuses, and the sentences about wrong answers."""

    cases: Counter = field(default_factory=Counter)
    statuses: Counter = field(default_factory=Counter)
    problems: dict = field(default_factory=dict)

    @property
    def failures(self):
        """The number of answers with a status of 500 or more, but for the checks of health."""
        return sum(count for (_, status), count in self.statuses.items() if status >= 500)


def fuzz(app, address, headers, examples, seen=lambda _case: None):
    """Send requests to every operation of a document, and return the report."""
    schema = schemathesis.openapi.from_wsgi(address, app, headers=headers)
    wanted = checks.CHECKS.get_by_names(list(NAMES))
    report = Report()
    for result in schema.get_all_operations():
        _fuzz_operation(result.ok(), headers, examples, wanted, report, seen)
    return report


def _fuzz_operation(operation, headers, examples, wanted, report, seen):
    def send(case):
        seen(case)
        response = case.call(headers=headers)
        report.cases[operation.label] += 1
        if operation.path not in READINESS:
            report.statuses[operation.label, response.status_code] += 1
        try:
            case.validate_response(response, checks=wanted)
        except (FailureGroup, AssertionError) as error:
            problem = f"{case.as_curl_command()}\n{error}"[:3000]
            report.problems.setdefault(operation.label, problem)

    send = given(case=operation.as_strategy())(send)
    settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )(send)()
