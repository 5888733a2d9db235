"""Settings: where they are read from, what is refused, and that no secret is shown."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from mulequeue.errors import ConfigurationError
from mulequeue.settings import Profile, Settings, default_of
from mulequeue.settings.names import check_setting_names
from mulequeue.settings.profiles import Limits, ProfileLimits

KEY = "sk-mr-" + "a" * 64


def app(*, namespace: str | None = None, **conf: Any) -> Celery:
    made = Celery("settings", set_as_current=False)
    if namespace:
        made.config_from_object(conf, namespace=namespace)
    else:
        made.conf.update(conf)
    return made


def load(made: Celery | None = None, **environ: str) -> Settings:
    return Settings.load(made, environ)


def test_configuration_wins_over_environment_over_default() -> None:
    """app.conf first, then MULEQUEUE_…, then the default."""
    assert 15.0 == load(app()).poll_timeout_seconds
    assert 3.0 == load(app(), MULEQUEUE_POLL_TIMEOUT_SECONDS="3").poll_timeout_seconds
    conf = app(mulequeue_poll_timeout_seconds=2)
    assert 2.0 == load(conf, MULEQUEUE_POLL_TIMEOUT_SECONDS="3").poll_timeout_seconds


def test_namespace_as_django_has_it() -> None:
    """CELERY_MULEQUEUE_… in a settings module is read."""
    assert "blue" == load(app(namespace="CELERY", CELERY_MULEQUEUE_FLEET="blue")).fleet


def test_validate_is_one_of_three_words() -> None:
    """A word that is none of the three is an error of the configuration, from wherever it comes."""
    assert "warn" == load(app(mulequeue_validate="warn")).validate
    for wrong in ("strickt", True, 1):
        with pytest.raises(ConfigurationError, match="It must be 'strict', 'warn' or 'off'"):
            load(app(mulequeue_validate=wrong))
    with pytest.raises(ConfigurationError, match="MULEQUEUE_VALIDATE is invalid"):
        load(MULEQUEUE_VALIDATE="of")


def test_official_clients_own_variables() -> None:
    """Key, base URL and site are read as the official client reads them; ours win."""
    official = {"MULEROUTER_API_KEY": KEY, "MULEROUTER_SITE": "mulerun"}

    assert (KEY, "mulerun") == ((s := load(**official)).api_key, s.site)
    assert "mine" == load(**official, MULEQUEUE_API_KEY="mine").api_key
    assert "https://api.mulerun.com" == load(**official).profile().base_url
    with_url = load(**official, MULEROUTER_BASE_URL="http://127.0.0.1:9/")
    assert "http://127.0.0.1:9" == with_url.profile().base_url


@pytest.mark.parametrize(
    ("text", "value"), [("1", True), ("true", True), ("YES", True), ("0", False), ("off", False)]
)
def test_booleans_of_the_environment(text: str, value: bool) -> None:
    """The usual words for true and false are read."""
    loaded = load(MULEQUEUE_ALLOW_PRIVATE_ADDRESSES=text)

    assert value is loaded.allow_private_addresses


def test_lists_of_the_environment() -> None:
    """Several folders are separated as in PATH, empty ones left out."""
    assert ("/a", "/b") == load(MULEQUEUE_INPUT_ROOTS="/a::/b").input_roots


def test_wrong_value_of_the_environment_names_the_variable() -> None:
    """The variable is named when the value came from there."""
    with pytest.raises(ConfigurationError, match="MULEQUEUE_POLL_CONCURRENCY"):
        load(MULEQUEUE_POLL_CONCURRENCY="many")


@pytest.mark.parametrize("key", ["mulequeue_flet", "CELERY_MULEQUEUE_FLET", "mulequeue_Flet"])
def test_unknown_setting_names_the_nearest(key: str) -> None:
    """A misspelled setting is refused with the name that was meant."""
    with pytest.raises(ConfigurationError, match="Did you mean mulequeue_fleet"):
        check_setting_names([key], ["fleet", "poll_queue"])


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("MULEQUEUE_FLET", "MULEQUEUE_FLEET"),
        ("MULEQUEUE_API_KYE", "MULEQUEUE_API_KEY"),
        ("MULEQUEUE_BROKER_URI", "MULEQUEUE_BROKER_URL"),
        ("MULEQUEUE_TRANSFER_QUEUES", "MULEQUEUE_TRANSFER_QUEUE"),
        ("mulequeue_fleet", "MULEQUEUE_FLEET"),
    ],
)
def test_unknown_variable_names_the_nearest(name: str, meant: str) -> None:
    """A misspelt variable is an error with the name that was meant, and without the value."""
    with pytest.raises(
        ConfigurationError, match=f"variable '{name}'. Did you mean {meant}"
    ) as caught:
        load(**{name: "hunter2"})

    assert "hunter2" not in str(caught.value)


def test_variables_of_others_are_left_alone() -> None:
    """Those of the recommended settings, empty ones, and what Kubernetes sets for a service."""
    service = {
        "SERVICE_HOST": "h",
        "SERVICE_PORT": "1",
        "SERVICE_PORT_HTTP": "1",
        "PORT": "tcp://h",
    }
    service |= {"PORT_80_TCP": "t", "PORT_80_TCP_PROTO": "tcp", "PORT_80_TCP_ADDR": "h"}
    named = {
        f"{prefix}_{key}": value
        for key, value in service.items()
        for prefix in ("MULEQUEUE", "MULEQUEUE_WEB")
    }
    names = ("BROKER_URL", "RESULT_BACKEND", "TRANSFER_QUEUE", "LIVENESS_FILE", "REPOSITORY")
    ours = dict.fromkeys(names, "x")

    load(**named, **{f"MULEQUEUE_{key}": value for key, value in ours.items()}, MULEQUEUE_EMPTY="")


def test_every_secret_is_read_from_a_file(tmp_path: Path) -> None:
    """Each secret that a variable can hold may be in a file that ``NAME_FILE`` names."""
    secrets = {item.name for item in fields(Settings) if not item.repr}
    values = {
        "api_key": KEY,
        "redis_url": "redis://:hunter2@redis:6379/3",
        "notification_secret": "whsec_bXVsZQ==",
        "webhook_secret": "whsec_bXVsZQ==",
    }
    assert secrets - {"profiles", "storage_options"} == set(values)  # dictionaries, in Python only

    for name, value in values.items():
        file = tmp_path / name
        file.write_text(f"{value}\n")
        plain = load(**{f"MULEQUEUE_{name.upper()}": value})
        assert plain == load(**{f"MULEQUEUE_{name.upper()}_FILE": str(file)})
    official = load(MULEROUTER_API_KEY_FILE=str(tmp_path / "api_key"))
    assert official.api_key == KEY


def test_a_file_that_cannot_be_the_value_is_an_error(tmp_path: Path) -> None:
    """A missing file is an error that names the variable; an empty one is not set."""
    (tmp_path / "empty").write_text("\n")
    missing = str(tmp_path / "missing")

    assert load(MULEQUEUE_API_KEY_FILE=str(tmp_path / "empty")).api_key is None
    with pytest.raises(
        ConfigurationError, match=r"MULEQUEUE_API_KEY_FILE .*No such file.*readable"
    ):
        load(MULEQUEUE_API_KEY_FILE=missing)
    assert load(MULEQUEUE_API_KEY=KEY, MULEQUEUE_API_KEY_FILE=missing).api_key == KEY
    with pytest.raises(ConfigurationError, match="Did you mean MULEQUEUE_FLEET"):
        load(MULEQUEUE_FLET_FILE=missing)


def test_unknown_setting_of_an_app() -> None:
    """The misspelled setting of an app is found where settings are loaded."""
    with pytest.raises(ConfigurationError, match="mulequeue_api_key"):
        load(app(mulequeue_api_kye=KEY))


def test_redis_of_the_broker_is_the_ledgers() -> None:
    """Without a Redis of its own the ledger takes the broker's, or the result backend's."""
    assert "redis://one:1/0" == load(app(broker_url="redis://one:1/0")).redis_url
    rabbit = app(broker_url="amqp://r", result_backend="redis://two:2/0")
    assert "redis://two:2/0" == load(rabbit).redis_url
    assert "redis://127.0.0.1:6379/0" == load(app(broker_url="amqp://r")).redis_url


def test_profiles() -> None:
    """A named profile has its own key, host and limit; the default one the plain settings."""
    settings = Settings(
        api_key=KEY,
        max_in_flight=5,
        profiles={"run": {"api_key": "muk-1", "site": "mulerun", "max_in_flight": 2}},
    )

    assert ["default", "run"] == [profile.name for profile in settings.known_profiles()]
    assert 5 == settings.profile().max_in_flight
    run = settings.profile("run")
    assert ("https://api.mulerun.com", "muk-1", 2) == (run.base_url, run.api_key, run.max_in_flight)


@pytest.mark.parametrize(
    ("profiles", "text"),
    [
        ({"x": {"api_key": "k", "hots": "h"}}, "hots"),
        ({"x": {"api_key": "k", "site": "mars"}}, "site of profile 'x' is invalid"),
        ({"x": {"api_key": "k", "base_url": "ftp://h"}}, "https://"),
        ({"x": {}}, "No API key for profile 'x'"),
    ],
)
def test_wrong_profile_says_what_is_wrong(profiles: dict[str, Any], text: str) -> None:
    """A wrong profile is an error that names the wrong part."""
    with pytest.raises(ConfigurationError, match=text):
        Settings(profiles=profiles).profile("x")


def test_a_profile_that_cannot_be_used_leaves_the_others() -> None:
    """What one profile lacks here is an error of that profile alone."""
    profiles = {"no key": {}, "typo": {"api_key": "k", "hots": "h"}, "good": {"api_key": "k"}}

    settings = Settings(api_key=KEY, profiles=profiles)

    assert ["default", "good"] == [profile.name for profile in settings.known_profiles()]
    assert ["no key", "typo"] == list(settings.profile_errors())
    assert "mulequeue_profiles" in str(settings.profile_errors()["no key"])
    assert {} == Settings().profile_errors()
    assert ["default"] == list(Settings(base_url="ftp://h").profile_errors())


def test_an_earlier_profile_is_found_by_its_host() -> None:
    """After a profile was renamed, the only one of its host is taken; by its name it is always found."""
    there, other = "https://there.example", "https://other.example"
    profiles = {
        "new": {"api_key": "k", "base_url": there},
        "a": {"api_key": "k", "base_url": other},
        "b": {"api_key": "l", "base_url": other},
    }
    settings = Settings(api_key=KEY, profiles=profiles)

    assert "new" == settings.profile_of("old", there).name
    assert "a" == settings.profile_of("a", there).name
    assert "default" == settings.profile_of("default", there).name
    with pytest.raises(ConfigurationError, match="old"):
        settings.profile_of("old", other)


def test_row_13_host_and_key_form_one_profile() -> None:
    """Each profile joins one host with one key; a record of one is not taken for the other's."""
    configured = Settings(
        api_key="sk-mr-1", profiles={"mulerun": {"api_key": "muk-1", "site": "mulerun"}}
    )
    router, run = configured.profile(), configured.profile("mulerun")

    assert ("https://api.mulerouter.ai", "sk-mr-1") == (router.base_url, router.api_key)
    assert ("https://api.mulerun.com", "muk-1") == (run.base_url, run.api_key)
    assert router.fingerprint != run.fingerprint


def test_row_13_a_slash_at_the_end_of_the_host_does_no_harm() -> None:
    """The host is kept without a trailing slash, so that paths can be joined to it."""
    profile = Settings(api_key="k", base_url="https://api.mulerun.com/").profile()

    assert "https://api.mulerun.com" == profile.base_url


def test_row_13_an_unknown_site_is_refused() -> None:
    """A misspelt site is an error that names the right one, before any key travels anywhere."""
    with pytest.raises(ConfigurationError, match="mulerun"):
        Settings(api_key="k", site="mulerum").profile()


def test_no_key_at_all_is_no_profile() -> None:
    """A process that only sends has no profile, and that is no error."""
    assert [] == Settings().known_profiles()


def test_fingerprint_tells_accounts_apart_and_no_key() -> None:
    """The fingerprint changes with key and host, and says neither."""
    one = Profile(name="a", base_url="https://h", api_key=KEY)
    other_key = Profile(name="a", base_url="https://h", api_key=KEY + "b")
    other_host = Profile(name="a", base_url="https://i", api_key=KEY)

    assert 3 == len({p.fingerprint for p in (one, other_key, other_host)})
    assert one.fingerprint == Profile(name="b", base_url="https://h", api_key=KEY).fingerprint
    assert one.fingerprint not in KEY


def test_no_secret_in_a_repr() -> None:
    """Neither settings nor profiles show a key, a password or a signing secret."""
    secret = "hunter2"
    settings = Settings(
        api_key=secret,
        redis_url=f"redis://:{secret}@h/0",
        notification_secret=secret,
        storage_options={"secret": secret},
        profiles={"x": {"api_key": secret}},
    )

    assert secret not in repr(settings) + repr(settings.profile()) + repr(settings.profile("x"))


def test_every_setting_has_a_default_and_a_docstring() -> None:
    """No setting is needed to start, and each is described under its name in the source."""
    import inspect

    source = "".join(map(inspect.getsource, (Limits, ProfileLimits, Settings)))
    for field in fields(Settings):
        default_of(field.name)
        after = source.split(f"    {field.name}: ", 1)[1].split("\n", 2)[1]
        assert after.strip().startswith('"""'), field.name
