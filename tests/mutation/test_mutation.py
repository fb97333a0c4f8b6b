"""What `make mutate` changes, and that what it names is there: a renamed module would be left out unseen."""

import pytest

from tests.mutation.groups import GROUPS, SQL_GROUPS, Group, SQLGroup
from tests.mutation.sql_mutants import sql_mutants
from tests.mutation.work_folder import ROOT

DEFINITION = """CREATE FUNCTION f(a integer default 1) RETURNS integer AS $function$
begin
    x := 7; -- 8 and 9
    return case when a <= 2 and b is null then 'a = 3' else -1 end;
end
$function$"""


def test_each_operator_condition_and_number_of_a_body_is_changed_alone() -> None:
    changes = {mutant.what for mutant in sql_mutants("f", DEFINITION)}
    assert changes == {
        "7 -> 8",
        "<= -> <",
        "2 -> 3",
        "and -> or",
        "is null -> is not null",
        "1 -> 2",
    }
    (weaker,) = [mutant for mutant in sql_mutants("f", DEFINITION) if mutant.what == "<= -> <"]
    assert weaker.text == DEFINITION.replace("a <= 2", "a < 2")
    assert weaker.where == "return case when a <= 2 and b is null then 'a = 3' else -1 end;"


@pytest.mark.parametrize("group", [*GROUPS, *SQL_GROUPS], ids=lambda group: group.name)
def test_what_a_group_names_is_there(group: Group | SQLGroup) -> None:
    modules = group.modules if isinstance(group, Group) else ()
    tests = [name.partition("::")[0] for name in group.tests]
    assert [name for name in (*modules, *tests) if not list(ROOT.glob(name))] == []
