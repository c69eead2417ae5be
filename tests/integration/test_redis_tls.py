"""A real Redis over TLS, with certificates of clients and users of few rights; and Sentinels over TLS."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis
from pydantic import SecretStr

from service.adapters.redis_cluster import RedisClusterProbe
from service.adapters.redis_connection import RedisProbe
from service.adapters.view_reader import ViewReader
from service.app import view_store
from service.processing.ports import Unavailable, Unusable
from service.processing.values import SaveOutcome
from service.reading import redis_settings
from service.settings import Settings
from tests.acceptance.processes import command
from tests.certificates import Authority
from tests.contract.stores import write
from tests.deploy.files import DEPLOY
from tests.local_cluster import local_cluster
from tests.local_redis import RedisProcess, Tls, redis_binary, start_redis
from tests.local_sentinel import SENTINEL_PASSWORD, local_sentinels
from tests.processes import free_port

_ASKED = 20

USERS = (DEPLOY / "redis" / "users.acl").read_text(encoding="utf-8").splitlines()


@dataclass(frozen=True)
class SecuredRedis:
    """A server that is reached over TLS alone, but for what the tests do to it."""

    process: RedisProcess
    port: int
    authority: Authority

    def url(self, name: str, password: str = "") -> str:
        """Give the address for a user of those that are delivered."""
        return f"rediss://{name}:{password or 'REPLACE-' + name.upper()}@127.0.0.1:{self.port}/0"

    def want_certificates(self, word: str) -> None:
        """Say whether clients have to show one: yes or no."""
        with redis.Redis(port=self.process.port) as admin:
            admin.config_set("tls-auth-clients", word)


@pytest.fixture(scope="module")
def secured(authority: Authority) -> Iterator[SecuredRedis]:
    """Give a server with the users that are delivered."""
    binary = redis_binary()
    if binary is None:
        pytest.skip("no redis-server that speaks TLS")
    own, port = authority.sign("redis"), free_port()
    options = ["--tls-port", str(port), "--tls-ca-cert-file", str(authority.file)]
    options += ["--tls-cert-file", str(own.certificate), "--tls-key-file", str(own.key)]
    with closing(start_redis(binary, *options)) as process:
        with redis.Redis(port=process.port) as admin:
            for line in USERS:
                _, name, *rules = line.split()
                admin.execute_command("ACL", "SETUSER", name, "reset", *rules)
        yield SecuredRedis(process, port, authority)


def settings_of(server: SecuredRedis, **more: Any) -> Settings:
    """Give the settings of the worker's user, who trusts the authority."""
    known: dict[str, Any] = {
        "redis_url": SecretStr(server.url("worker")),
        "redis_ca_file": server.authority.file,
    }
    return Settings(**(known | more))


async def saves(settings: Settings) -> bool:
    """Use the view as a worker does, and its probe."""
    store = view_store(settings)
    probe = (RedisClusterProbe if settings.redis_cluster else RedisProbe)(redis_settings(settings))
    try:
        await store.start()
        await probe.ask()
        [outcome] = await store.save([write("a")])
        return outcome in (SaveOutcome.SAVED, SaveOutcome.ALREADY)
    finally:
        await store.stop()
        await probe.stop()


async def test_the_worker_reaches_it_over_tls(secured: SecuredRedis) -> None:
    """With the rights that are delivered, and an authority of one's own."""
    secured.want_certificates("no")
    assert await saves(settings_of(secured))


async def test_a_server_that_nobody_known_signed_is_left(secured: SecuredRedis, tmp_path: Path) -> None:
    """The system's authorities do not know it, nor does a stranger's."""
    secured.want_certificates("no")
    for trusted in (None, Authority(tmp_path).file):
        with pytest.raises(Unavailable, match=r"certificate verify failed.*EVSE_STATUS_REDIS_CA_FILE"):
            await saves(settings_of(secured, redis_ca_file=trusted))


@pytest.mark.parametrize("password", ["", "geheim"])
async def test_a_client_shows_its_certificate(secured: SecuredRedis, password: str, tmp_path: Path) -> None:
    """Where the server wants one; without, there is no way in."""
    secured.want_certificates("yes")
    own = secured.authority.sign("client", password)
    shown = settings_of(
        secured,
        redis_certificate_file=own.certificate if password else own.both,
        redis_key_file=own.key if password else None,
        redis_key_password=SecretStr(password) if password else None,
    )

    assert await saves(shown)
    word = await refusal(settings_of(secured))
    assert re.search(r"wants this client's .* EVSE_STATUS_REDIS_CERTIFICATE_FILE", word)
    stranger = Authority(tmp_path).sign("stranger").both
    word = await refusal(settings_of(secured, redis_certificate_file=stranger))
    assert re.search(r"does not take this .* EVSE_STATUS_REDIS_CERTIFICATE_FILE", word)


async def refusal(settings: Settings) -> str:
    """
    Give what is said of a server that lets nobody in.

    It hangs up at once behind its word, which may be lost with the connection: then it is asked again.
    """
    said = ""
    for _ in range(_ASKED):
        with pytest.raises(Unavailable) as refused:
            await saves(settings)
        said = str(refused.value)
        if "reset by peer" not in said:
            break
    return said


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (lambda own: {"redis_ca_file": own.key}, r"EVSE_STATUS_REDIS_CA_FILE: .*locked\.key"),
        (
            lambda own: {"redis_certificate_file": own.certificate, "redis_key_file": own.key},
            r"EVSE_STATUS_REDIS_CERTIFICATE_FILE: .*EVSE_STATUS_REDIS_KEY_PASSWORD",
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_told_at_once(
    authority: Authority, more: Callable[[Any], dict[str, Any]], words: str
) -> None:
    """Not waited for, as a server that does not answer is."""
    settings = Settings(
        redis_url=SecretStr("rediss://redis:6380/0"), **more(authority.sign("locked", "geheim"))
    )
    with pytest.raises(Unusable, match=words):
        redis_settings(settings)


async def test_the_page_reads_over_tls_and_writes_nothing(secured: SecuredRedis) -> None:
    """Its user cannot be a worker's, and says so by the part that refuses."""
    secured.want_certificates("no")
    assert await saves(settings_of(secured))
    page = settings_of(secured, redis_url=SecretStr(secured.url("page")))
    reader = ViewReader(redis_settings(page))
    try:
        assert await reader.document("a") is not None
    finally:
        await reader.close()
    with pytest.raises(Unusable, match="check user, password and ACL"):
        await saves(page)


async def test_the_commands_have_the_same_settings(secured: SecuredRedis) -> None:
    """A wrong password is told, and not repeated."""
    secured.want_certificates("no")
    assert await saves(settings_of(secured))
    own = {"REDIS_URL": secured.url("page"), "REDIS_CA_FILE": str(secured.authority.file)}

    listed = await command("list", settings=own)
    refused = await command("list", settings={**own, "REDIS_URL": secured.url("page", "s3cret")})

    assert (listed.code, listed.out.split("\t")[0]) == (0, "a")
    assert refused.code == 1
    assert "check user, password and ACL" in refused.err
    assert "s3cret" not in refused.err + refused.out


async def test_sentinels_and_what_they_watch_are_reached_over_tls(authority: Authority) -> None:
    """Both want a certificate, and both are shown the same."""
    binary = redis_binary()
    if binary is None:
        pytest.skip("no redis-server that speaks TLS")
    with local_sentinels(binary, Tls(authority.file, authority.sign("watched"))) as watched:
        own = authority.sign("client")
        settings = Settings(
            redis_url=SecretStr(watched.url),
            redis_sentinel_password=SecretStr(SENTINEL_PASSWORD),
            redis_ca_file=authority.file,
            redis_certificate_file=own.both,
        )
        assert await saves(settings)
        with pytest.raises(Unavailable):
            await saves(settings.model_copy(update={"redis_certificate_file": None}))


async def test_a_cluster_is_reached_over_tls(authority: Authority) -> None:
    """All its nodes, by the certificates of the settings; who only reads reaches it, too."""
    binary = redis_binary()
    if binary is None:
        pytest.skip("no redis-server that speaks TLS")
    with local_cluster(binary, tls=Tls(authority.file, authority.sign("node"))) as cluster:
        settings = Settings(
            redis_url=SecretStr(cluster.url),
            redis_cluster=True,
            redis_ca_file=authority.file,
            redis_certificate_file=authority.sign("client").both,
        )
        assert await saves(settings)
        reader = ViewReader(redis_settings(settings))
        try:
            assert (await reader.page()).uids == ("a",)
        finally:
            await reader.close()
