"""A secret in an address, the environment or a text is in nothing that is shown."""

import pytest

from raysweep.errors import redacted, shown_address

SECRET = "hunter2hunter2"


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("http://10.0.0.1:5000", "http://10.0.0.1:5000"),
        ("https://me:hunter2hunter2@mlflow.org/team", "https://***@mlflow.org/team"),
        ("https://hunter2hunter2@mlflow.org", "https://***@mlflow.org"),
        ("http://me:hunter2@hunter2hunter2@host", "http://***@host"),
        ("http://me:hunter2hunter2/x?y@host/a", "http://***@host/a"),
        ("http://host/?token=hunter2hunter2", "http://host/?token=***"),
        ("http://host?hunter2hunter2", "http://host?***"),
        ("http://host/#hunter2hunter2", "http://host/#***"),
        ("http://host/?a=1#token=hunter2hunter2", "http://host/?a=***&token=***"),
        ("postgresql+psycopg2://me:hunter2hunter2@host:5432/db", "postgresql+psycopg2://***@host:5432/db"),
        (
            "postgresql://host/db?password=hunter2hunter2&user=me",
            "postgresql://host/db?password=***&user=***",
        ),
        (
            "mssql+pyodbc:///?odbc_connect=UID%3Dme%3BPWD%3Dhunter2hunter2",
            "mssql+pyodbc:///?odbc_connect=***",
        ),
        ("mysql:me:hunter2hunter2@host/db", "mysql:***@host/db"),
        ("postgresql:/me:hunter2hunter2@host/db", "postgresql:/***@host/db"),
        ("me:hunter2hunter2@host/db", "me:***@host/db"),
        ("http://me:hunter2 hunter2hunter2@a b", "http://***@a b"),
        ("sqlite:////data/why?/a#b/mlflow.db", "sqlite:////data/why?/a#b/mlflow.db"),
        ("", ""),
    ],
)
def test_an_address_is_shown_without_what_may_be_secret(address: str, shown: str) -> None:
    assert shown_address(address) == shown
    for text in (f"can't reach {address!r}", f"{address} is down\nTraceback: {address}", address):
        assert SECRET not in redacted(text, address)


@pytest.mark.parametrize("form", ["p%40ss%2Fword%3Fx", "p@ss/word?x"])
def test_a_password_with_escapes_is_hidden_in_all_its_forms(form: str) -> None:
    address = f"postgresql://me:{form}@host/db"
    for shown in ("p%40ss%2Fword%3Fx", "p@ss/word?x", "p%40ss%2fword%3fx"):
        assert redacted(f"login as me with {shown} failed", address) == "login as me with *** failed"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("HTTPConnectionPool(host='h'): url: /?token=abc", "HTTPConnectionPool(host='h'): url: /?token=***"),
        (
            "connection to host=h password=abc dbname=d failed",
            "connection to host=h password=*** dbname=d failed",
        ),
        ("UID=me;PWD=abc;", "UID=me;PWD=***;"),
        (
            "no server at postgresql://me:abc@host/db (timeout)",
            "no server at postgresql://***@host/db (timeout)",
        ),
        ("AWS secret='a b' is wrong", "AWS secret=*** is wrong"),
        ("set pad_token='[PAD]' and max_tokens=5", "set pad_token='[PAD]' and max_tokens=5"),
        ("the token: 5, a key=3", "the token: 5, a key=3"),
        ("see https://huggingface.co/docs", "see https://huggingface.co/docs"),
    ],
)
def test_what_looks_like_a_secret_in_a_text_is_hidden(text: str, shown: str) -> None:
    assert redacted(text) == shown


@pytest.mark.parametrize("name", ["HF_TOKEN", "MLFLOW_TRACKING_PASSWORD", "aws_secret_access_key", "API_KEY"])
def test_secrets_of_the_environment_are_hidden(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, SECRET)
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "a harmless value")
    monkeypatch.setenv("HTTPS_PROXY", "http://me:proxypass@proxy:3128")
    text = f"header {SECRET} a harmless value proxypass"
    assert redacted(text) == "header *** a harmless value ***"
