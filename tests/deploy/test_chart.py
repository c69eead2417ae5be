"""The Helm chart: what it gives is valid, safe to roll out, and refuses what would hurt."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from kubernetes_validate.utils import validate

from service.dashboard.gate import LIVE
from service.durations import parse_duration
from service.settings import Settings, load_settings
from tests.deploy.files import DEPLOY, NAMES, RULES, load, names_in, run, tool
from tests.deploy.render import CHART, KUBERNETES, RENDERED, VALUES, documents, source_hash, template, written

HELM = "it can be built from the Go module helm.sh/helm/v3/cmd/helm"
SCHEMA = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
DEFAULTS = load(CHART / "values.yaml")
FOREIGN = ("keda.sh/", "monitoring.coreos.com/")
each_name = pytest.mark.parametrize("name", VALUES)


@cache
def rendered(name: str) -> list[dict[str, Any]]:
    """Give what was written down of the chart."""
    return documents((RENDERED / f"{name}.yaml").read_text(encoding="utf-8"))


def one(name: str, kind: str, suffix: str = "") -> dict[str, Any]:
    """Give the only manifest of a kind, or the one with this end of its name."""
    [found] = [
        each for each in rendered(name) if each["kind"] == kind and each["metadata"]["name"].endswith(suffix)
    ]
    return found


def container(workload: dict[str, Any]) -> dict[str, Any]:
    """Give the one container of a workload."""
    [found] = workload["spec"]["template"]["spec"]["containers"]
    return dict(found)


def environment(workload: dict[str, Any]) -> dict[str, Any]:
    """Give a container's variables: texts, or where they come from."""
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in container(workload)["env"]}


@each_name
def test_what_is_written_down_is_of_this_chart(name: str) -> None:
    """`python -m tests.deploy.render` writes it, with Helm at hand."""
    first = (RENDERED / f"{name}.yaml").read_text(encoding="utf-8").splitlines()[0]

    assert source_hash() in first


@each_name
def test_helm_gives_what_is_written_down(name: str) -> None:
    """By Helm itself, which holds the values to their schema, too."""
    done = template(tool("helm", HELM), name)

    assert done.returncode == 0, done.stderr
    assert written(done.stdout) == (RENDERED / f"{name}.yaml").read_text(encoding="utf-8")


def test_helm_finds_nothing_to_complain_about() -> None:
    """With the defaults, and with everything."""
    done = run(tool("helm", HELM), "lint", "--strict", str(CHART), "--values", str(VALUES["everything"]))

    assert done.returncode == 0, done.stdout + done.stderr


def test_alerts_and_dashboards_go_along_whole() -> None:
    """With the address of the runbooks that an installation names."""
    found = {each["kind"]: each for each in documents(template(tool("helm", HELM), "everything").stdout)}

    rules = found["PrometheusRule"]["spec"]
    text = yaml.safe_dump(rules)
    assert "deploy/runbooks/" not in text
    assert text.count("https://wiki.example/evse/") == RULES.read_text(encoding="utf-8").count("runbook_url")
    names = [rule.get("alert") or rule["record"] for group in rules["groups"] for rule in group["rules"]]
    wanted = [
        rule.get("alert") or rule["record"] for group in load(RULES)["groups"] for rule in group["rules"]
    ]
    assert names == wanted
    data = found["ConfigMap"]["data"]
    for which in ("worker", "fleet"):
        file = DEPLOY / "grafana" / f"{which}.json"
        assert json.loads(data[f"evse-status-{which}.json"]) == json.loads(file.read_text(encoding="utf-8"))


def rules_of(*chosen: str) -> dict[str, Any]:
    """Give the alerts of a release as a file of rules."""
    given = template(tool("helm", HELM), "everything", *chosen)
    [found] = [each for each in documents(given.stdout) if each["kind"] == "PrometheusRule"]
    return dict(found["spec"])


def test_every_series_is_asked_for_by_the_labels_of_the_release() -> None:
    """Those that its ServiceMonitor gives: the namespace, and the name of the service as the job."""
    exprs = [rule["expr"] for group in rules_of()["groups"] for rule in group["rules"]]
    service = one("everything", "Service", "-worker")["metadata"]["name"]
    chosen = rules_of("--set", "prometheusRule.matchLabels.job=scraped")

    for expr in exprs:
        assert names_in(expr)
        wanted = f'{{job="{service}", namespace="evse"'
        assert expr.count(wanted) == len(NAMES.findall(expr))
    assert {label for expr in exprs for label in re.findall(r'job="(.*?)"', expr)} == {service}
    assert 'evse_status_partitions{job="scraped"}' in yaml.safe_dump(chosen, width=1000)
    assert service not in yaml.safe_dump(chosen)


def test_two_releases_in_one_prometheus_tell_each_outage_once(tmp_path: Path) -> None:
    """By Prometheus' own engine, with the rules of both."""
    promtool = tool("promtool", "Debian's package prometheus brings it")
    for namespace in ("north", "south"):
        text = yaml.safe_dump(rules_of("--namespace", namespace))
        (tmp_path / f"{namespace}.yaml").write_text(text, encoding="utf-8")
    gone = {
        "exp_labels": {
            "severity": "page",
            "concerns": "workers",
            "namespace": "north",
            "job": "evse-status-worker",
        },
        "exp_annotations": {
            "summary": "No worker owns a partition, or none can be scraped: nothing is processed, or nobody "
            "sees it.",
            "runbook_url": "https://wiki.example/evse/EvseStatusNoWorker.md",
        },
    }
    series = 'evse_status_partitions{{namespace="{}", job="evse-status-worker", instance="a"}}'
    case = {
        "interval": "1m",
        "input_series": [
            {"series": series.format("north"), "values": "4x10 stale _x50"},
            {"series": series.format("south"), "values": "4x60"},
        ],
        "alert_rule_test": [
            {"alertname": "EvseStatusNoWorker", "eval_time": "5m", "exp_alerts": []},
            {"alertname": "EvseStatusNoWorker", "eval_time": "40m", "exp_alerts": [gone]},
        ],
    }
    tests = {"rule_files": ["north.yaml", "south.yaml"], "evaluation_interval": "1m", "tests": [case]}
    (tmp_path / "tests.yaml").write_text(yaml.safe_dump(tests), encoding="utf-8")

    tested = run(promtool, "test", "rules", str(tmp_path / "tests.yaml"))

    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_the_charts_files_are_the_projects() -> None:
    """Links, so that there is one text of each."""
    assert (CHART / "files" / "rules.yaml").resolve() == RULES
    for which in ("worker.json", "fleet.json"):
        assert (CHART / "files" / which).resolve() == DEPLOY / "grafana" / which


@each_name
def test_every_manifest_is_valid(name: str) -> None:
    """By Kubernetes' own schemas, strictly; kinds of others have none there."""
    ours = [each for each in rendered(name) if not each["apiVersion"].startswith(FOREIGN)]

    assert ours
    for manifest in ours:
        validate(manifest, KUBERNETES, strict=True)


@each_name
def test_no_pod_may_do_more_than_its_work(name: str) -> None:
    """Not root, no capabilities, a read-only file system, no token of Kubernetes."""
    for kind in ("StatefulSet", "Deployment"):
        pod = one(name, kind)["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        assert container(one(name, kind))["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


@each_name
def test_a_worker_is_a_static_member_by_the_name_of_its_pod(name: str) -> None:
    """And its replacement is the same member, without a surge."""
    workers = one(name, "StatefulSet")

    assert environment(workers)["EVSE_STATUS_INSTANCE_ID"] == {"fieldRef": {"fieldPath": "metadata.name"}}
    assert workers["spec"]["updateStrategy"] == {"type": "RollingUpdate"}
    assert one(name, "PodDisruptionBudget", "-worker")["spec"]["maxUnavailable"] == 1
    assert one(name, "Service", "-worker")["spec"]["clusterIP"] == "None"


@each_name
def test_the_batch_in_hand_has_its_time(name: str) -> None:
    """A worker drains for half of its session timeout at most."""
    workers = one(name, "StatefulSet")
    grace = workers["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    session = parse_duration(environment(workers)["EVSE_STATUS_SESSION_TIMEOUT"])

    assert grace > session.total_seconds() / 2


@each_name
def test_probes_ask_the_worker_what_they_mean(name: str) -> None:
    """Liveness is progress and readiness is processing; a part outside that is away restarts nobody."""
    worker = container(one(name, "StatefulSet"))

    assert worker["startupProbe"]["httpGet"]["path"] == "/health/live"
    assert worker["livenessProbe"]["httpGet"]["path"] == "/health/live"
    assert worker["readinessProbe"]["httpGet"]["path"] == "/health/ready"
    assert worker["ports"] == [
        {"name": "metrics", "containerPort": Settings.model_fields["http_port"].default}
    ]


@each_name
def test_the_page_is_probed_without_a_token(name: str) -> None:
    """By the one address that wants none."""
    page = container(one(name, "Deployment"))

    assert page["readinessProbe"]["httpGet"]["path"] == LIVE
    assert page["livenessProbe"]["httpGet"]["path"] == LIVE


@each_name
def test_every_variable_is_a_setting(name: str) -> None:
    """A misspelt one would be ignored without a word."""
    known = {f"EVSE_STATUS_{field.upper()}" for field in Settings.model_fields}

    for kind in ("StatefulSet", "Deployment"):
        # Those of OpenTelemetry are its own.
        named = {each for each in environment(one(name, kind)) if not each.startswith("OTEL_")}
        assert named - known == set()


def test_of_several_pages_a_drained_node_takes_one() -> None:
    """Of one alone a budget would keep the node from being drained."""
    budgets = [each for each in rendered("default") if each["kind"] == "PodDisruptionBudget"]
    page = one("everything", "PodDisruptionBudget", "-dashboard")["spec"]

    assert [each["metadata"]["name"] for each in budgets] == ["evse-status-worker"]
    assert page["maxUnavailable"] == 1
    assert page["selector"] == one("everything", "Deployment")["spec"]["selector"]


def test_secrets_come_by_reference() -> None:
    """The page has a user of its own."""
    worker, page = environment(one("everything", "StatefulSet")), environment(one("everything", "Deployment"))

    assert worker["OTEL_EXPORTER_OTLP_HEADERS"] == {"secretKeyRef": {"name": "collector", "key": "headers"}}
    assert worker["EVSE_STATUS_REDIS_URL"] == {"secretKeyRef": {"name": "view-writer", "key": "url"}}
    assert page["EVSE_STATUS_REDIS_URL"] == {"secretKeyRef": {"name": "view-reader", "key": "url"}}
    assert worker["EVSE_STATUS_KAFKA_SASL_PASSWORD"] == {
        "secretKeyRef": {"name": "kafka-user", "key": "password"}
    }
    assert "EVSE_STATUS_KAFKA_SASL_PASSWORD" not in page
    assert page["EVSE_STATUS_DASHBOARD_TOKEN"] == {"secretKeyRef": {"name": "page-token", "key": "token"}}
    assert "EVSE_STATUS_DASHBOARD_TOKEN" not in worker
    assert {
        each["EVSE_STATUS_REDIS_SENTINEL_PASSWORD"]["secretKeyRef"]["name"] for each in (worker, page)
    } == {"view-sentinels"}


def test_a_key_may_be_encrypted() -> None:
    """Its password is in the secret beside it, where it has one; KEDA reads the same key."""
    worker, page = environment(one("everything", "StatefulSet")), environment(one("everything", "Deployment"))
    keda = one("everything", "TriggerAuthentication")["spec"]["secretTargetRef"]

    kafka, view = (
        {"secretKeyRef": {"name": name, "key": "password", "optional": True}}
        for name in ("kafka-client", "view-client")
    )
    assert worker["EVSE_STATUS_KAFKA_KEY_PASSWORD"] == kafka
    assert worker["EVSE_STATUS_REDIS_KEY_PASSWORD"] == page["EVSE_STATUS_REDIS_KEY_PASSWORD"] == view
    assert {"parameter": "keyPassword", "name": "kafka-client", "key": "password"} in keda
    bare = [environment(one("default", kind)) for kind in ("StatefulSet", "Deployment")]
    assert [name for each in bare for name in each if name.endswith("KEY_PASSWORD")] == []


def test_every_file_that_is_named_is_mounted() -> None:
    """With the certificates of the parts that each talks to."""
    for kind, parts in (("StatefulSet", ["kafka", "redis"]), ("Deployment", ["redis"])):
        pod = one("everything", kind)
        volumes = {each["name"]: each for each in pod["spec"]["template"]["spec"]["volumes"]}
        mounted = {
            f"{mount['mountPath']}/{item['path']}"
            for mount in container(pod)["volumeMounts"]
            for source in volumes[mount["name"]]["projected"]["sources"]
            for item in source["secret"]["items"]
        }
        named = {value for name, value in environment(pod).items() if name.endswith("_FILE")}

        assert list(volumes) == [f"{part}-certificates" for part in parts]
        assert named == mounted


def test_a_token_that_somebody_keeps_fresh_is_a_file_of_the_worker() -> None:
    """And nothing else says who it is."""
    kafka = {"securityProtocol": "SASL_SSL", "saslMechanism": "OAUTHBEARER", "oauthTokenSecret": "fresh"}
    chosen = [word for name, value in kafka.items() for word in ("--set", f"kafka.{name}={value}")]
    [worker] = [
        each
        for each in documents(template(tool("helm", HELM), "default", *chosen).stdout)
        if each["kind"] == "StatefulSet"
    ]
    signing = {name for name in environment(worker) if "SASL" in name or "OAUTH" in name}
    [volume], [mount] = worker["spec"]["template"]["spec"]["volumes"], container(worker)["volumeMounts"]

    assert signing == {"EVSE_STATUS_KAFKA_SASL_MECHANISM", "EVSE_STATUS_KAFKA_OAUTH_TOKEN_FILE"}
    assert environment(worker)["EVSE_STATUS_KAFKA_OAUTH_TOKEN_FILE"] == f"{mount['mountPath']}/token"
    assert volume["projected"]["sources"][0]["secret"]["name"] == "fresh"


def test_lag_that_stays_asks_for_no_worker() -> None:
    """One trigger a topic; a partition that stands pages somebody instead."""
    scaled = one("everything", "ScaledObject")["spec"]

    assert scaled["scaleTargetRef"]["kind"] == "StatefulSet"
    assert [each["metadata"]["topic"] for each in scaled["triggers"]] == ["evse.status", "evse.online"]
    assert {each["metadata"]["excludePersistentLag"] for each in scaled["triggers"]} == {"true"}
    assert {each["metadata"]["sasl"] for each in scaled["triggers"]} == {"scram_sha512"}
    assert {each["authenticationRef"]["name"] for each in scaled["triggers"]} == {
        one("everything", "TriggerAuthentication")["metadata"]["name"]
    }
    assert "replicas" not in one("everything", "StatefulSet")["spec"]


def test_an_installation_with_its_own_prefix_reads_and_scales_by_its_own_log(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As the worker has it: without INPUT_TOPICS it is `<prefix>events`."""
    chosen = ["--set", "settings.TOPIC_PREFIX=depot.", "--set", "autoscaling.enabled=true"]
    found = {
        each["kind"]: each for each in documents(template(tool("helm", HELM), "default", *chosen).stdout)
    }
    variables = environment(found["StatefulSet"])
    for name, text in variables.items():
        if isinstance(text, str):
            monkeypatch.setenv(name, text)

    [trigger] = found["ScaledObject"]["spec"]["triggers"]
    assert load_settings().input_topics == (trigger["metadata"]["topic"],) == ("depot.events",)


def test_the_worker_is_reached_by_prometheus_and_reaches_kafka_and_redis() -> None:
    """And nobody else, where that is said."""
    policy = one("everything", "NetworkPolicy", "-worker")["spec"]
    monitor = one("everything", "ServiceMonitor")["spec"]
    service = one("everything", "Service", "-worker")

    assert policy["ingress"][0]["from"] == [{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}]
    assert [port["port"] for rule in policy["egress"] for port in rule.get("ports", [])] == [
        53,
        53,
        9094,
        6379,
        4318,
    ]
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert monitor["endpoints"][0]["port"] == service["spec"]["ports"][0]["name"]


def test_the_defaults_are_what_their_schema_wants() -> None:
    """As Helm checks them."""
    jsonschema.validate(DEFAULTS, SCHEMA)


def test_the_schema_knows_every_setting() -> None:
    """But for those that have a value of their own, or are the pod's."""
    own = {
        *("kafka_bootstrap_servers", "kafka_security_protocol", "kafka_ca_file", "kafka_sasl_mechanism"),
        *("kafka_sasl_username", "kafka_sasl_password", "instance_id", "session_timeout"),
        *("kafka_certificate_file", "kafka_key_file", "kafka_key_password", "kafka_oauth_token_endpoint"),
        *(
            "kafka_oauth_client_id",
            "kafka_oauth_client_secret",
            "kafka_oauth_scope",
            "kafka_oauth_token_file",
        ),
        *("redis_url", "redis_cluster", "redis_sentinel_username", "redis_sentinel_password"),
        *("redis_ca_file", "redis_certificate_file", "redis_key_file", "redis_key_password"),
        *("http_host", "http_port", "dashboard_token", "tracing"),
    }

    taken = set(SCHEMA["properties"]["settings"]["properties"])

    assert taken == {field.upper() for field in Settings.model_fields if field not in own}


@pytest.mark.parametrize(
    ("part", "wrong"),
    [
        ("redis", {"url": "redis:6379"}),
        ("settings", {**DEFAULTS["settings"], "KAFKA_SASL_PASSWORD": "secret"}),
        ("settings", {**DEFAULTS["settings"], "OFLINE_AFTER": "30m"}),
        ("kafka", {**DEFAULTS["kafka"], "securityProtocol": "SASL_SSL"}),
        ("kafka", {**DEFAULTS["kafka"], "securityProtocol": "TLS"}),
        ("worker", {**DEFAULTS["worker"], "replica": 3}),
        ("image", {"repository": ""}),
    ],
)
def test_the_schema_refuses_secrets_by_their_names_and_misspellings(part: str, wrong: dict[str, Any]) -> None:
    """Before anything is installed."""
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**DEFAULTS, part: wrong}, SCHEMA)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        (["autoscaling.enabled=true", "autoscaling.minReplicas=5"], "autoscaling.maxReplicas (4)"),
        (["worker.terminationGracePeriodSeconds=30"], "worker.sessionTimeout (60s)"),
        (["worker.sessionTimeout=2m"], "raise it to 75"),
        (["redis.cluster=true", "redis.url=redis+sentinel://one/main/0"], "redis.cluster=true"),
        (["redis.cluster=true", "redis.sentinelSecret=sentinels"], "redis.sentinelSecret"),
        (["kafka.certificateSecret=client"], "kafka.securityProtocol=PLAINTEXT"),
        (["redis.url=redis://user:secret@redis:6379/0"], "redis.urlSecret"),
        (["redis.url=redis://redis:6379/0?password=secret"], "redis.urlSecret"),
    ],
)
def test_values_that_do_not_go_together_are_refused_in_one_line(values: list[str], named: str) -> None:
    """With what to change, before anything is installed, and no secret."""
    chosen = [word for value in values for word in ("--set", value)]

    done = template(tool("helm", HELM), "default", *chosen)

    assert done.returncode == 1
    [line] = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert named in line
    assert "secret@" not in done.stderr


@pytest.mark.parametrize(
    "values",
    [
        ["autoscaling.minReplicas=5"],
        ["worker.terminationGracePeriodSeconds=31"],
        ["redis.cluster=true", "redis.url=redis+sentinel://unused/main/0", "redis.urlSecret=view"],
        ["kafka.certificateSecret=client", "kafka.securityProtocol=SSL"],
    ],
)
def test_values_that_go_together_are_taken(values: list[str]) -> None:
    """Also those that are not used."""
    chosen = [word for value in values for word in ("--set", value)]

    assert template(tool("helm", HELM), "default", *chosen).returncode == 0
