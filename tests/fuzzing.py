"""Requests that Schemathesis makes of the OpenAPI document, and what is wrong with the answers.

Everything happens in this process: the app is called without a server.
"""

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import checks
from schemathesis.core.failures import FailureGroup
from schemathesis.generation import GenerationMode

from web.api.alertmanager_json import silence_uuid

ADDRESS = "/api/v1/openapi.json"
READINESS = ("/readyz", "/-/ready")  # 503 is what they say without a worker
UNKNOWN = 999
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

    @property
    def successes(self):
        """The operations that have answered with a success."""
        return {label for label, status in self.statuses if status < 300}


def seed(app, headers, url):
    """Store rows of everything by the API, and return their ids by the parameters of paths."""
    client = app.test_client()

    def post(path, body):
        response = client.post(f"/api/v1/{path}", json=body, headers=headers)
        assert response.status_code < 300, response.text
        return response.json

    channels = [post("channels", {"name": f"Team {number}", "url": url}) for number in range(3)]
    alerts = post("alerts", [{"name": "Disk", "labels": {"team": "db"}}, {"name": "Load"}])
    silence = post("silences", {"matchers": "team=web", "reason": "Moving"})
    replay = post("replays", {"filter": {"state": "failed"}})
    return {
        "channel_id": [channel["id"] for channel in channels],
        "alert_id": [alert["id"] for alert in alerts["alerts"]],
        "silence_id": [silence["id"]],
        "replay_id": [replay["id"]],
        "number": [int(name[4:]) for alert in alerts["alerts"] for name in alert["deliveries"]],
    }


def fuzz(app, headers, url, examples):
    """Send valid and invalid requests to every operation of the document; return the report.

    Ids and URLs are often those that exist: others would end nearly every request with 404 or 422.
    """
    document = app.test_client().get(ADDRESS, headers=headers).json
    ids = seed(app, headers, url)
    for path, operations in document["paths"].items():
        for operation in operations.values():
            for parameter in operation["parameters"]:
                if parameter["in"] == "path":
                    parameter["schema"] = {"enum": _ids_of(path, parameter["name"], ids)}
    document["components"]["schemas"]["ChannelBody"]["properties"]["url"] = {"enum": [url]}
    schema = schemathesis.openapi.from_dict(document)
    schema.app = app
    report = Report()
    operations = [result.ok() for result in schema.get_all_operations()]
    for operation in sorted(operations, key=lambda one: one.method.lower() == "delete"):
        for mode in GenerationMode:
            _fuzz_operation(operation, mode, headers, examples, report)
    return report


def _ids_of(path, name, ids):
    if path.startswith("/api/v2/"):
        return [*map(silence_uuid, ids[name]), "unknown"]
    if "/history/" in path and name == "number":
        return [1, UNKNOWN]
    return [*ids[name], UNKNOWN]


def _fuzz_operation(operation, mode, headers, examples, report):
    wanted = checks.CHECKS.get_by_names(list(NAMES))

    def send(case):
        response = case.call(headers=headers)
        report.cases[operation.label] += 1
        if operation.path not in READINESS:
            report.statuses[operation.label, response.status_code] += 1
        try:
            case.validate_response(response, checks=wanted)
        except (FailureGroup, AssertionError) as error:
            problem = f"{case.as_curl_command()}\n{error}"[:3000]
            report.problems.setdefault(operation.label, problem)

    send = given(case=operation.as_strategy(generation_mode=mode))(send)
    send = settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )(send)
    with suppress(Unsatisfiable):  # a request that takes nothing takes nothing invalid
        send()
