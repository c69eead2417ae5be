"""The one model of settings: sources, defaults, and what is said of wrong values."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest

from service.domain.time import MINUTE
from service.processing.silence import SilenceRules
from service.setting_problems import SettingsError
from service.settings import PREFIX, Settings, environment_with, load_settings


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the settings of whoever runs the tests out of them."""
    for name in list(os.environ):
        if name.upper().startswith(PREFIX):
            monkeypatch.delenv(name)


def problems_of(config: Path | None = None) -> tuple[str, ...]:
    """Load settings that are wrong, and give the lines about it."""
    with pytest.raises(SettingsError) as caught:
        load_settings(config)
    return caught.value.problems


def test_defaults_are_complete() -> None:
    """Nothing has to be set."""
    settings = load_settings()

    assert settings.input_topics == ("evse.events",)
    assert settings.allowed_lateness == timedelta(hours=48)
    assert settings.session_timeout == timedelta(seconds=30)
    assert settings.snapshots_topic == "evse.snapshots"
    assert settings.dead_letters_topic == "evse.dead-letters"


def test_the_environment_goes_before_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A variable overrides the same key of the TOML file; other keys of the file stand."""
    config = tmp_path / "worker.toml"
    config.write_text('group_id = "from-file"\nhttp_port = 9000\n')
    monkeypatch.setenv("EVSE_STATUS_GROUP_ID", "from-environment")

    settings = load_settings(config)

    assert (settings.group_id, settings.http_port) == ("from-environment", 9000)


def test_topics_are_comma_separated_or_a_toml_list(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Spaces around commas do no harm, and TOML may give a list."""
    monkeypatch.setenv("EVSE_STATUS_INPUT_TOPICS", "evse.status, evse.online")
    assert load_settings().input_topics == ("evse.status", "evse.online")

    monkeypatch.delenv("EVSE_STATUS_INPUT_TOPICS")
    config = tmp_path / "worker.toml"
    config.write_text('input_topics = ["a", "b"]\n')
    assert load_settings(config).input_topics == ("a", "b")


def test_sources_have_their_own_durations_in_a_line_or_a_toml_table(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An equals sign may be part of a name; a comma may in TOML."""
    monkeypatch.setenv("EVSE_STATUS_OFFLINE_AFTER_BY_SOURCE", "gateway-a=5m, urn:site=4 = 1h")
    settings = load_settings()
    assert settings.offline_after_by_source == {
        "gateway-a": timedelta(minutes=5),
        "urn:site=4": timedelta(hours=1),
    }
    shown = dict(settings.effective())
    assert shown["EVSE_STATUS_OFFLINE_AFTER_BY_SOURCE"] == "gateway-a=5m,urn:site=4=1h"

    monkeypatch.delenv("EVSE_STATUS_OFFLINE_AFTER_BY_SOURCE")
    config = tmp_path / "worker.toml"
    config.write_text('[offline_after_by_source]\n"one, two" = "90s"\nthree = 0\n')
    assert load_settings(config).offline_after_by_source == {
        "one, two": timedelta(seconds=90),
        "three": timedelta(0),
    }
    config.write_text("offline_after_by_source = 5\n")
    assert str(config) in problems_of(config)[0]


def test_silence_is_noticed_by_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a quarter of an hour, or what is set."""
    default = load_settings()
    assert default.silence_rules() == SilenceRules(15 * MINUTE)
    assert default.ingest_silent_after == timedelta(minutes=5)

    monkeypatch.setenv("EVSE_STATUS_OFFLINE_AFTER", "0")
    monkeypatch.setenv("EVSE_STATUS_OFFLINE_AFTER_BY_SOURCE", "gateway-a=5m")
    assert load_settings().silence_rules() == SilenceRules(0, {"gateway-a": 5 * MINUTE})


@pytest.mark.parametrize(
    "url",
    [
        "redis://redis:6379/3",
        "redis://redis:6379?db=3",
        "unix:///run/redis.sock",
        "redis+sentinel://one:26379/main/0",
    ],
)
def test_a_cluster_has_hosts_and_no_databases(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """An address that no node of a cluster can have is refused with one that it can."""
    monkeypatch.setenv("EVSE_STATUS_REDIS_URL", url)
    assert load_settings().redis_cluster is False

    monkeypatch.setenv("EVSE_STATUS_REDIS_CLUSTER", "true")
    [problem] = problems_of()
    assert problem.startswith("EVSE_STATUS_REDIS_CLUSTER: ")
    assert "write" in problem
    assert "redis://HOST:PORT/0" in problem

    monkeypatch.setenv("EVSE_STATUS_REDIS_URL", "redis://redis:6379/0")
    assert load_settings().redis_cluster is True


def test_sentinels_have_a_url_and_a_password_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """The user in the URL is the server's; neither password is shown."""
    monkeypatch.setenv("EVSE_STATUS_REDIS_URL", "redis+sentinel://user:geheim@one:26379,[::1]:26380/main/0")
    monkeypatch.setenv("EVSE_STATUS_REDIS_SENTINEL_USERNAME", "asker")
    assert problems_of() == (
        "EVSE_STATUS_REDIS_SENTINEL_PASSWORD: is needed with EVSE_STATUS_REDIS_SENTINEL_USERNAME; set it",
    )

    monkeypatch.setenv("EVSE_STATUS_REDIS_SENTINEL_PASSWORD", "geheim")
    shown = dict(load_settings().effective())
    assert shown["EVSE_STATUS_REDIS_URL"] == "redis+sentinel://user:********@one:26379,[::1]:26380/main/0"
    assert shown["EVSE_STATUS_REDIS_SENTINEL_PASSWORD"] == "********"  # noqa: S105 - it is none


def test_the_input_topic_follows_the_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    """One prefix names all topics unless the input is named by itself."""
    monkeypatch.setenv("EVSE_STATUS_TOPIC_PREFIX", "fleet.")

    settings = load_settings()

    assert settings.input_topics == ("fleet.events",)
    assert settings.transitions_topic == "fleet.transitions"


def test_an_empty_variable_counts_as_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A compose file may pass variables on without knowing whether they are set."""
    monkeypatch.setenv("EVSE_STATUS_SESSION_TIMEOUT", "")

    assert load_settings().session_timeout == timedelta(seconds=30)


def test_all_errors_are_reported_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each wrong value has its line, with the name of the variable or key and what to write."""
    config = tmp_path / "worker.toml"
    config.write_text('http_port = "many"\nlog_format = "xml"\ngroup = "x"\n')
    monkeypatch.setenv("EVSE_STATUS_SESSION_TIMEOUT", "soon")
    monkeypatch.setenv("EVSE_STATUS_KAFKA_BOOTSTRAP_SERVERS", "broker")
    monkeypatch.setenv("EVSE_STATUS_REDIS_PREFX", "evse")

    text = problems_of(config)

    assert len(text) == 6
    by_name = {line.split(":")[0].split(" in ")[0]: line for line in text}
    assert "write 500ms, 30s, 15m, 48h, 1d" in by_name["EVSE_STATUS_SESSION_TIMEOUT"]
    assert "host:port" in by_name["EVSE_STATUS_KAFKA_BOOTSTRAP_SERVERS"]
    assert by_name["EVSE_STATUS_REDIS_PREFX"].endswith("did you mean EVSE_STATUS_REDIS_PREFIX?")
    assert str(config) in by_name["http_port"]
    assert "'json' or 'console'" in by_name["log_format"]
    assert "group_id" in by_name["group"]


@pytest.mark.parametrize(
    ("variable", "value", "remedy"),
    [
        ("REDIS_URL", "http://:geheim@redis:6379", "redis://HOST:PORT/0"),
        ("REDIS_URL", "redis+sentinel://one,two", "redis+sentinel://HOST:26379,HOST:26379/NAME/0"),
        ("REDIS_URL", "redis+sentinel://u:geheim/@one/main", "percent-encode /, # and ?"),
        ("REDIS_SENTINEL_PASSWORD", "geheim", "REDIS_URL=redis+sentinel://"),
        ("REDIS_CA_FILE", "/no/such/file.pem", "give the path of a PEM file"),
        ("REDIS_CA_FILE", __file__, "REDIS_URL=rediss://"),
        ("REDIS_KEY_PASSWORD", "geheim", "REDIS_CERTIFICATE_FILE"),
        ("INPUT_TOPICS", "evse.snapshots", "what the worker writes to"),
        ("INPUT_TOPICS", "a,a", "name each once"),
        ("INPUT_TOPICS", "no topic", "is no topic name"),
        (
            "KAFKA_BOOTSTRAP_SERVERS",
            "broker-1:9092,broker..example:9092",
            "'broker..example:9092' is no broker",
        ),
        ("KAFKA_BOOTSTRAP_SERVERS", os.fsdecode(b"a\xff:9092"), "write host:port"),
        ("KAFKA_CA_FILE", "/no/such/file.pem", "give the path of a PEM file"),
        ("KAFKA_SASL_USERNAME", "worker", "KAFKA_SECURITY_PROTOCOL=SASL_SSL"),
        ("KAFKA_CERTIFICATE_FILE", "/no/such/file.pem", "give the path of a PEM file"),
        ("KAFKA_CERTIFICATE_FILE", __file__, "KAFKA_SECURITY_PROTOCOL=SSL"),
        ("KAFKA_KEY_FILE", __file__, "KAFKA_CERTIFICATE_FILE"),
        ("KAFKA_KEY_PASSWORD", "geheim", "KAFKA_CERTIFICATE_FILE"),
        ("KAFKA_OAUTH_TOKEN_ENDPOINT", "http://issuer.example/token", "write https://HOST/"),
        ("KAFKA_OAUTH_CLIENT_SECRET", "geheim", "KAFKA_OAUTH_TOKEN_ENDPOINT"),
        ("KAFKA_OAUTH_SCOPE", "kafka", "KAFKA_OAUTH_TOKEN_ENDPOINT"),
        ("KAFKA_OAUTH_TOKEN_FILE", "/no/such/token", "give the path of the file of the token"),
        ("KAFKA_OAUTH_TOKEN_FILE", __file__, "KAFKA_SASL_MECHANISM=OAUTHBEARER"),
        ("SESSION_TIMEOUT", "1s", "6"),
        ("ALLOWED_LATENESS", "-3h", "is no duration"),
        ("OFFLINE_AFTER", "soon", "write 500ms, 30s, 15m, 48h, 1d"),
        ("OFFLINE_AFTER_BY_SOURCE", "gateway-a=5m,gateway-a=1h", "write gateway-a=5m,gateway-b=1h"),
        ("OFFLINE_AFTER_BY_SOURCE", "5m", "must name each source once, with its duration"),
        ("OFFLINE_AFTER_BY_SOURCE", "gateway-a=soon", "of gateway-a: 'soon' is no duration"),
        ("INGEST_SILENT_AFTER", "0", "greater than or equal to 1 second"),
        ("CREATE_TOPICS", "perhaps", "must be a valid boolean"),
        ("BATCH_RECORDS", "0", "greater than or equal to 1"),
        ("DASHBOARD_ROOT_PATH", "evse/", "must match pattern"),
        ("DASHBOARD_ROOT_PATH", "/a/../b", "must match pattern"),
        ("DASHBOARD_TOKEN", "geheim", "openssl rand -hex 32"),
        ("HTTP_PORT", "tcp://10.0.0.1:8080", "enableServiceLinks"),
    ],
)
def test_a_wrong_value_names_its_remedy(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, remedy: str
) -> None:
    """One line: the variable, what is wrong, what to do."""
    monkeypatch.setenv(PREFIX + variable, value)

    (line,) = problems_of()

    assert line.startswith(f"{PREFIX}{variable}: ")
    assert remedy in line
    assert "\n" not in line
    assert "geheim" not in line


@pytest.mark.parametrize(
    ("variable", "value", "remedy"),
    [
        ("OTEL_TRACES_EXPORTER", "console", "set EVSE_STATUS_TRACING=false"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=http/protobuf"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json", "OTEL_EXPORTER_OTLP_ENDPOINT"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318", "http://HOST:4318"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:port", "http://HOST:4318"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://", "http://HOST:4318"),
        ("OTEL_TRACES_SAMPLER", "ratio", "parentbased_traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "abc", "from 0 to 1"),
        ("OTEL_TRACES_SAMPLER_ARG", "10", "from 0 to 1"),
    ],
)
def test_spans_that_cannot_be_sent_as_wanted_are_refused(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, remedy: str
) -> None:
    """Only where tracing is on: the standard variables are also other people's."""
    monkeypatch.setenv(variable, value)
    assert not load_settings().tracing
    monkeypatch.setenv("EVSE_STATUS_TRACING", "true")

    (line,) = problems_of()

    assert line.startswith(f"{variable}: ")
    assert remedy in line


def test_spans_may_be_sent_in_another_way_than_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable for traces goes before the one for everything."""
    monkeypatch.setenv("EVSE_STATUS_TRACING", "true")
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://[::1]:4318/v1/traces")

    assert load_settings().tracing


@pytest.mark.parametrize(("sampler", "share"), [("ParentBased_TraceIdRatio", "0.1"), ("always_on", "abc")])
def test_a_sampler_is_read_as_opentelemetry_reads_it(
    monkeypatch: pytest.MonkeyPatch, sampler: str, share: str
) -> None:
    """In any case of letters, and without a look at a share that it has no use for."""
    monkeypatch.setenv("EVSE_STATUS_TRACING", "true")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", sampler)
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", share)

    assert load_settings().tracing


def test_a_sasl_protocol_asks_for_user_and_password(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are asked for at once, not one after the other."""
    monkeypatch.setenv("EVSE_STATUS_KAFKA_SECURITY_PROTOCOL", "SASL_SSL")

    names = [line.split(":")[0] for line in problems_of()]

    assert names == ["EVSE_STATUS_KAFKA_SASL_USERNAME", "EVSE_STATUS_KAFKA_SASL_PASSWORD"]


def test_tokens_come_from_one_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """OAUTHBEARER asks for no password, but for a file or for an endpoint with all that it needs."""
    token = tmp_path / "token"
    token.write_text("one")
    monkeypatch.setenv("EVSE_STATUS_KAFKA_SECURITY_PROTOCOL", "SASL_SSL")
    monkeypatch.setenv("EVSE_STATUS_KAFKA_SASL_MECHANISM", "OAUTHBEARER")
    [nowhere] = problems_of()
    assert nowhere.startswith("EVSE_STATUS_KAFKA_OAUTH_TOKEN_FILE: is needed with OAUTHBEARER, or ")

    monkeypatch.setenv("EVSE_STATUS_KAFKA_OAUTH_TOKEN_FILE", str(token))
    assert load_settings().kafka_oauth_token_file == token

    monkeypatch.setenv("EVSE_STATUS_KAFKA_OAUTH_TOKEN_ENDPOINT", "https://issuer.example/token")
    names = [line.split(":")[0] for line in problems_of()]
    assert names == [
        "EVSE_STATUS_KAFKA_OAUTH_CLIENT_ID",
        "EVSE_STATUS_KAFKA_OAUTH_CLIENT_SECRET",
        "EVSE_STATUS_KAFKA_OAUTH_TOKEN_FILE",
    ]

    monkeypatch.delenv("EVSE_STATUS_KAFKA_OAUTH_TOKEN_FILE")
    monkeypatch.setenv("EVSE_STATUS_KAFKA_OAUTH_CLIENT_ID", "worker")
    monkeypatch.setenv("EVSE_STATUS_KAFKA_OAUTH_CLIENT_SECRET", "geheim")
    shown = dict(load_settings().effective())
    assert shown["EVSE_STATUS_KAFKA_OAUTH_CLIENT_SECRET"] == "********"  # noqa: S105 - it is none

    monkeypatch.setenv("EVSE_STATUS_KAFKA_SASL_PASSWORD", "geheim")
    [beside] = problems_of()
    assert beside == "EVSE_STATUS_KAFKA_SASL_PASSWORD: does nothing with OAUTHBEARER; remove it"


def test_no_secret_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the model's own text nor the effective settings hold a password."""
    monkeypatch.setenv("EVSE_STATUS_REDIS_URL", "rediss://worker:geh@im@redis:6380/0?password=geheim")
    monkeypatch.setenv("EVSE_STATUS_KAFKA_SECURITY_PROTOCOL", "SASL_SSL")
    monkeypatch.setenv("EVSE_STATUS_KAFKA_SASL_USERNAME", "worker")
    monkeypatch.setenv("EVSE_STATUS_KAFKA_SASL_PASSWORD", "geheim://geheim")

    settings = load_settings()
    shown = dict(settings.effective())

    assert "geh" not in repr(settings) + str(settings) + str(shown)
    assert shown["EVSE_STATUS_REDIS_URL"] == "rediss://worker:********@redis:6380/0?password=********"
    assert shown["EVSE_STATUS_ALLOWED_LATENESS"] == "2d"
    assert set(shown) == {PREFIX + name.upper() for name in Settings.model_fields}


def test_a_wrong_secret_is_not_repeated(tmp_path: Path) -> None:
    """What is said of a secret of the wrong type does not hold it."""
    config = tmp_path / "worker.toml"
    config.write_text('kafka_sasl_password = ["geheim"]\nredis_url = 17\n')

    assert "geheim" not in "\n".join(problems_of(config))


def test_variables_of_a_kubernetes_service_are_not_meant_for_us(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Service named evse-status puts its own variables under our prefix into every container."""
    for name, value in {
        "SERVICE_HOST": "10.0.0.1",
        "SERVICE_PORT": "8080",
        "SERVICE_PORT_HTTP": "8080",
        "PORT": "tcp://10.0.0.1:8080",
        "PORT_8080_TCP": "tcp://10.0.0.1:8080",
        "PORT_8080_TCP_ADDR": "10.0.0.1",
        "METRICS_SERVICE_HOST": "10.0.0.1",
    }.items():
        monkeypatch.setenv(PREFIX + name, value)

    assert load_settings().http_port == 8080


def test_a_misspelt_port_is_still_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what looks like a Service's address is passed over."""
    monkeypatch.setenv("EVSE_STATUS_HTP_PORT", "8081")

    assert problems_of() == ("EVSE_STATUS_HTP_PORT: no such setting; did you mean EVSE_STATUS_HTTP_PORT?",)


def test_weaker_acknowledgements_are_refused_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """There is no such setting, and whoever looks for it learns why and what there is instead."""
    monkeypatch.setenv("EVSE_STATUS_KAFKA_ACKS", "1")
    config = tmp_path / "worker.toml"
    config.write_text('acks = "0"\n')

    problems = problems_of(config)

    assert [line.split(":")[0] for line in problems] == [f"acks in {config}", "EVSE_STATUS_KAFKA_ACKS"]
    for line in problems:
        assert "nothing is committed before all replicas in sync have acknowledged" in line
        assert "min.insync.replicas" in line


@pytest.mark.parametrize("content", ["http_port = ", "\xff\xfe"])
def test_a_file_that_is_not_toml_is_one_line(tmp_path: Path, content: str) -> None:
    """The path and the place stand in the message."""
    config = tmp_path / "worker.toml"
    config.write_bytes(content.encode("latin-1"))

    (line,) = problems_of(config)

    assert str(config) in line


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    """A wrong --config is the user's mistake, not a traceback."""
    (line,) = problems_of(tmp_path / "none.toml")

    assert line.endswith("check the path")


def test_a_child_process_gets_no_settings_but_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """In whatever case they are written, since they are read in any."""
    monkeypatch.setenv("EVSE_STATUS_GROUP_ID", "mine")
    monkeypatch.setenv("evse_status_redis_prefix", "mine")

    environment = environment_with({"HTTP_PORT": "0"})

    assert environment["EVSE_STATUS_HTTP_PORT"] == "0"
    assert [name for name in environment if name.upper().startswith(PREFIX)] == ["EVSE_STATUS_HTTP_PORT"]
    assert environment["PATH"] == os.environ["PATH"]


def test_settings_cannot_be_changed() -> None:
    """Whoever holds the settings holds what was read at the start."""
    with pytest.raises(ValueError, match="frozen"):
        load_settings().http_port = 1  # type: ignore[misc]


@pytest.mark.parametrize("password", ["s3cr/et", "s3cr#et", "s3cr?et", "s3:cr@3t/x"])
def test_a_password_that_is_not_encoded_is_refused_and_not_repeated(
    monkeypatch: pytest.MonkeyPatch, password: str
) -> None:
    """Its parts would be taken for host, port or path, and stand in what clients say of those."""
    monkeypatch.setenv("EVSE_STATUS_REDIS_URL", f"redis://user:{password}@127.0.0.1:6379/0")

    with pytest.raises(SettingsError) as failed:
        load_settings()

    (problem,) = failed.value.problems
    assert "percent-encode" in problem
    assert "s3" not in problem
