"""Names: the rules in Azure's own words, tried on names nobody thought of."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from localazure.containers.names import check_group_name, is_environment_name, is_name
from localazure.errors import ArmError

ALLOWED = "abcdefghijklmnopqrstuvwxyz0123456789-"
ENVIRONMENT = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"


@given(st.text(ALLOWED + "A_é", max_size=70))
def test_a_name_is_good_exactly_if_every_rule_holds(name):
    rules = [
        1 <= len(name) <= 63,
        all(character in ALLOWED for character in name),
        not name.startswith("-"),
        not name.endswith("-"),
        "--" not in name,
    ]
    assert is_name(name) == all(rules)


@given(st.lists(st.text(ALLOWED[:-1], min_size=1, max_size=8), min_size=1, max_size=7))
def test_words_joined_by_hyphens_are_names(words):
    assert is_name("-".join(words))


@given(st.text(ENVIRONMENT + "-. é", max_size=70))
def test_an_environment_name_is_good_exactly_if_every_rule_holds(name):
    rules = [1 <= len(name) <= 63, all(each in ENVIRONMENT for each in name), not name[:1].isdecimal()]
    assert is_environment_name(name) == all(rules)


@pytest.mark.parametrize("name", ["", "-a", "a-", "a--b", "A", "a_b", "a" * 64, "a\n"])
def test_a_bad_group_name_is_refused_with_the_rule(name):
    with pytest.raises(ArmError) as caught:
        check_group_name(name)
    assert (caught.value.status, caught.value.code) == (400, "InvalidContainerGroupName")
    assert repr(name)[1:-1].replace("\\n", "\n") in caught.value.message
