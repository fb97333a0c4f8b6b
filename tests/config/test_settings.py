"""A wrong setting stops the start with its name and what is allowed; none of its text is a secret."""

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from config.errors import ConfigurationError
from config.settings import Settings, load_settings, setting_names, variable_of

EXAMPLE = Path(__file__).parents[2] / "config" / "example.toml"


@pytest.fixture
def variables(gateway_variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The environment of a gateway that would start."""
    for name, value in gateway_variables.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def refusal() -> str:
    with pytest.raises(ConfigurationError) as refused:
        load_settings(None)
    return str(refused.value)


def test_every_setting_has_a_description_and_a_variable() -> None:
    names = list(setting_names())
    assert "database.url" in names
    assert variable_of("s3.secret_access_key") == "SFTP_GATEWAY_S3__SECRET_ACCESS_KEY"
    assert "sending.public.provider" in names
    for name in names:
        *sections, last = name.split(".")
        model: type[BaseModel] = Settings
        for section in sections:
            annotation = model.model_fields[section].annotation
            assert isinstance(annotation, type)
            model = annotation
        assert model.model_fields[last].description, name


@pytest.mark.parametrize("uncommented", [False, True], ids=["as it comes", "every line in force"])
def test_the_example_starts_a_node_that_has_its_secrets(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, uncommented: bool
) -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    if uncommented:
        text = re.sub(r"^# (?=[a-z_]+ = )", "", text, flags=re.MULTILINE)
    file = tmp_path / "gateway.toml"
    file.write_text(text, encoding="utf-8")
    monkeypatch.setenv("SFTP_GATEWAY_DATABASE__URL", "postgresql://gateway@db.agency.example/gateway")
    settings = load_settings(file)
    assert settings.s3.bucket == "sftp-gateway"
    assert settings.sftp.processes == (2 if uncommented else 1)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        pytest.param(
            "SFTP_GATEWAY_ENVIRONMENT",
            "prod",
            "the setting environment (SFTP_GATEWAY_ENVIRONMENT) must be 'test', 'production' or 'loadtest'",
            id="environment",
        ),
        pytest.param(
            "SFTP_GATEWAY_SMTP__SECURITY",
            "ssl",
            "the setting smtp.security (SFTP_GATEWAY_SMTP__SECURITY) must be 'auto', 'starttls', 'tls' or 'none'",
            id="choice",
        ),
        pytest.param(
            "SFTP_GATEWAY_SFTP__PORT",
            "22x",
            "the setting sftp.port (SFTP_GATEWAY_SFTP__PORT) is wrong: input should be a valid integer",
            id="number",
        ),
        pytest.param(
            "SFTP_GATEWAY_SFTP__PROT",
            "22",
            "the environment variable SFTP_GATEWAY_SFTP__PROT is not a setting; did you mean SFTP_GATEWAY_SFTP__PORT?",
            id="unknown",
        ),
        pytest.param(
            "SFTP_GATEWAY_SFTP__TRUSTED_ADDRESSES",
            "10.0.0.0/8, nonsense",
            "'nonsense' is not an address or network such as 192.0.2.7 or 192.0.2.0/24",
            id="network",
        ),
        pytest.param("SFTP_GATEWAY_S3__LINK_HOURS", "169", "s3.link_hours", id="over-seven-days"),
        pytest.param(
            "SFTP_GATEWAY_SFTP__MAX_UPLOAD_BYTES", "31457281", "sftp.max_upload_bytes", id="over-30-mb"
        ),
        pytest.param(
            "SFTP_GATEWAY_DATABASE__URL",
            "mysql://u:p@db/x",
            "postgresql://user:password@host",
            id="no-database",
        ),
        pytest.param(
            "SFTP_GATEWAY_DATABASE__URL", "postgresql://u:p@db:99999/x", "not of the form", id="database-port"
        ),
        pytest.param(
            "SFTP_GATEWAY_DATABASE__URL",
            "postgresql://u:p/w@db/x",
            "write what isn't a letter",
            id="password",
        ),
        pytest.param(
            "SFTP_GATEWAY_DATABASE__URL",
            "postgresql://u:p@db/x?sslmode=full",
            "its sslmode must be one of disable, allow, prefer, require, verify-ca, verify-full",
            id="sslmode",
        ),
        pytest.param("SFTP_GATEWAY_S3__ENDPOINT_URL", "s3.example", "https://host:port", id="no-scheme"),
        pytest.param("SFTP_GATEWAY_S3__LINK_ENDPOINT_URL", "ftp://h", "s3.link_endpoint_url", id="ftp"),
        pytest.param(
            "SFTP_GATEWAY_S3__PUBLIC_BASE_URL", "https://h:99999", "s3.public_base_url", id="link-port"
        ),
        pytest.param("SFTP_GATEWAY_SMTP__SENDER", "postman", "postman@agency.example", id="no-address"),
        pytest.param(
            "SFTP_GATEWAY_SMTP__SENDER", "a@b.example, c@d.example", "smtp.sender", id="two-senders"
        ),
        pytest.param(
            "SFTP_GATEWAY_SMTP__SENDER", "a@b.example\nBcc: c@d.example", "smtp.sender", id="injected"
        ),
        pytest.param("SFTP_GATEWAY_SMTP__MESSAGE_ID_DOMAIN", "a b", "smtp.message_id_domain", id="domain"),
        pytest.param("SFTP_GATEWAY_SMTP__GIVE_UP_HOURS", "inf", "finite number", id="infinite"),
        pytest.param(
            "SFTP_GATEWAY_SENDING__LOOK_UP_AFTER",
            "60, soon",
            "the setting sending.look_up_after (SFTP_GATEWAY_SENDING__LOOK_UP_AFTER) is wrong: input should be a valid number",
            id="in-a-list",
        ),
        pytest.param(
            "SFTP_GATEWAY_BILLING__STARTS", "0001-01-01", "equal to 2000-01-01", id="no-such-day-in-utc"
        ),
    ],
)
def test_a_wrong_setting_is_named(variables: pytest.MonkeyPatch, name: str, value: str, said: str) -> None:
    variables.setenv(name, value)
    assert said in refusal()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("DATABASE__URL", "postgresql://u@h1:1,h2/x?sslmode=verify-full", id="two-databases"),
        pytest.param("DATABASE__URL", "postgres://u:p%40@[2001:db8::1]:5432/x", id="ipv6-database"),
        pytest.param("DATABASE__URL", "postgresql:///x?host=/run/postgresql", id="database-socket"),
        pytest.param("S3__ENDPOINT_URL", "http://[::1]:9000/prefix", id="bucket-below-a-prefix"),
        pytest.param("SMTP__SENDER", "Postmän <postman@agency.example>", id="sender-with-a-name"),
        pytest.param("SMTP__SENDER", "postman@localhost", id="local-sender"),
    ],
)
def test_an_unusual_setting_that_works_is_taken(variables: pytest.MonkeyPatch, name: str, value: str) -> None:
    variables.setenv(f"SFTP_GATEWAY_{name}", value)
    load_settings(None)


@pytest.mark.parametrize(
    "text", ["60,600,3600", "60 600 3600", "60, 600, 3600", "[60, 600, 3600]", " [60,600,3600.0] "]
)
def test_a_list_in_a_variable_is_words_or_a_json_array(variables: pytest.MonkeyPatch, text: str) -> None:
    variables.setenv("SFTP_GATEWAY_SENDING__LOOK_UP_AFTER", text)
    assert load_settings(None).sending.look_up_after == [60, 600, 3600]


def test_a_list_of_texts_in_a_variable_may_be_a_json_array(variables: pytest.MonkeyPatch) -> None:
    variables.setenv("SFTP_GATEWAY_API__TRUSTED_PROXIES", '["192.0.2.7", "2001:db8::/32"]')
    assert load_settings(None).api.trusted_proxies == ["192.0.2.7", "2001:db8::/32"]


def test_an_empty_text_in_the_file_counts_as_not_set(variables: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text('[messages]\nfooter_english = ""\n[s3]\nlink_endpoint_url = ""\n')
    settings = load_settings(file)
    assert settings.messages.footer_english is None
    assert settings.s3.link_endpoint_url is None


def test_a_folder_of_credentials_that_is_missing_is_named(variables: pytest.MonkeyPatch) -> None:
    variables.setenv("CREDENTIALS_DIRECTORY", "/nonexistent")
    assert "credentials /nonexistent (CREDENTIALS_DIRECTORY) can't be read" in refusal()


def test_the_environment_has_no_default(variables: pytest.MonkeyPatch) -> None:
    variables.delenv("SFTP_GATEWAY_ENVIRONMENT")
    assert "set SFTP_GATEWAY_ENVIRONMENT; allowed: test, production" in refusal()


def test_all_that_is_missing_is_named_at_once(variables: pytest.MonkeyPatch) -> None:
    variables.delenv("SFTP_GATEWAY_DATABASE__URL")
    variables.delenv("SFTP_GATEWAY_SMTP__SENDER")
    said = refusal()
    assert "set SFTP_GATEWAY_DATABASE__URL" in said
    assert "set SFTP_GATEWAY_SMTP__SENDER" in said


def test_the_environment_wins_over_credentials_and_these_over_the_file(
    variables: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(
        '[database]\nurl = "postgresql://file"\npool_size = 3\n[sftp]\nport = 2201\n[smtp]\nport = 1\n'
    )
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "SFTP_GATEWAY_DATABASE__URL").write_text("postgresql://credential\n")
    (credentials / "SFTP_GATEWAY_SMTP__PORT").write_text("2")
    variables.delenv("SFTP_GATEWAY_DATABASE__URL")
    variables.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    variables.setenv("SFTP_GATEWAY_SMTP__PORT", "3")
    variables.setenv("SFTP_GATEWAY_CONFIG", str(file))
    settings = load_settings(None)
    assert settings.database.url.get_secret_value() == "postgresql://credential"
    assert settings.database.pool_size == 3
    assert settings.smtp.port == 3


def test_a_file_that_is_missing_or_not_toml_is_named(variables: pytest.MonkeyPatch, tmp_path: Path) -> None:
    variables.setenv("SFTP_GATEWAY_CONFIG", str(tmp_path / "none.toml"))
    assert "none.toml can't be read: No such file or directory" in refusal()
    (tmp_path / "none.toml").write_text("[database\n")
    assert "none.toml is not TOML" in refusal()


def test_a_wrong_name_in_the_file_gets_a_suggestion(variables: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text("[sftp]\nhost_key_dri = 'x'\n")
    variables.delenv("SFTP_GATEWAY_SFTP__HOST_KEY_DIR")
    variables.setenv("SFTP_GATEWAY_CONFIG", str(file))
    assert "the setting sftp.host_key_dri does not exist; did you mean sftp.host_key_dir?" in refusal()


def test_no_refusal_repeats_a_secret(variables: pytest.MonkeyPatch) -> None:
    variables.setenv("SFTP_GATEWAY_S3__SECRET_ACCESS_KEY", "hush-hush")
    variables.setenv("SFTP_GATEWAY_DATABASE__POOL_SIZE", "hush-hush")
    assert "hush" not in refusal()
    variables.setenv("SFTP_GATEWAY_DATABASE__POOL_SIZE", "4")
    assert "hush" not in repr(load_settings(None))
