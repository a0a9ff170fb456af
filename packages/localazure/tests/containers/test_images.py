"""Images map to commands."""

from __future__ import annotations

import pytest
from localazure.containers.images import ImageMapping, Images, repository_of
from localazure.errors import UsageError

DIGEST = "@sha256:" + "0" * 64


def test_a_mapping_is_split_as_a_shell_splits_it():
    mapping = ImageMapping.parse("r.azurecr.io:5000/app:1='/opt/my python' -m app --key=value")
    assert mapping.reference == "r.azurecr.io:5000/app:1"
    assert mapping.command == ("/opt/my python", "-m", "app", "--key=value")


@pytest.mark.parametrize("text", ["app", "app=", "=x", "app='x"])
def test_a_mapping_that_cannot_be_read_is_refused(text):
    with pytest.raises(UsageError, match="--image"):
        ImageMapping.parse(text)


@pytest.mark.parametrize("suffix", ["", ":1", DIGEST, ":1" + DIGEST])
def test_a_bare_name_stands_for_every_tag_and_digest(suffix):
    assert Images([ImageMapping("host:5000/app", ("x",))]).command("host:5000/app" + suffix) == ("x",)


def test_the_exact_reference_wins():
    images = Images([ImageMapping("app", ("any",)), ImageMapping("app:2", ("two",))])
    assert (images.command("app:1"), images.command("app:2")) == (("any",), ("two",))
    assert images.command("other") is None


def test_a_port_is_no_tag():
    assert repository_of("host:5000/app") == "host:5000/app"
