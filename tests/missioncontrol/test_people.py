"""People: passwords, sessions, throttling."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from missioncontrol import audit
from missioncontrol.errors import Conflict, InputInvalid, NotAuthenticated, NotFound, TooManyAttempts
from missioncontrol.people import LogIn, NewPassword, NewPerson, People, PersonChange, Role
from missioncontrol.settings import AdministratorSettings, HttpSettings
from missioncontrol.store import Store
from missioncontrol.tables import people as people_table
from missioncontrol.tables import sessions
from tests.missioncontrol.conftest import StillClock

PASSWORD = "a long password"


@pytest.fixture
def people(store: Store, clock: StillClock) -> People:
    return People(store, HttpSettings(session_s=3600.0, login_attempts=3, login_window_s=60.0), clock)


async def add(people: People, name: str, *roles: Role) -> None:
    await people.add(NewPerson(name=name, password=PASSWORD, roles=roles), by="test")


async def test_who_logs_in_is_known_by_the_token_until_it_ends(people: People, clock: StillClock) -> None:
    await add(people, "Inspector", Role.INSPECTOR)
    person, token = await people.log_in(LogIn(name="Inspector", password=PASSWORD), "127.0.0.1")
    assert person.roles == (Role.INSPECTOR,)
    assert await people.person_of(token) == person
    assert await people.person_of(token + "x") is None
    clock.utc_s += 3599
    assert await people.person_of(token) == person
    clock.utc_s += 2
    assert await people.person_of(token) is None


async def test_logging_out_ends_the_session(people: People) -> None:
    await add(people, "a", Role.OPERATOR)
    _, token = await people.log_in(LogIn(name="a", password=PASSWORD), "")
    await people.log_out(token)
    assert await people.person_of(token) is None


async def test_neither_passwords_nor_tokens_are_kept(people: People, store: Store) -> None:
    await add(people, "a", Role.OPERATOR)
    _, token = await people.log_in(LogIn(name="a", password=PASSWORD), "")
    async with store.reading() as connection:
        person = (await connection.execute(select(people_table))).one()
        session = (await connection.execute(select(sessions))).one()
    assert person.password_hash.startswith("$argon2id$")
    assert PASSWORD not in str(person)
    assert token not in str(session)


async def test_wrong_names_and_passwords_sound_alike(people: People) -> None:
    await add(people, "a", Role.OPERATOR)
    with pytest.raises(NotAuthenticated) as wrong_password:
        await people.log_in(LogIn(name="a", password="something else"), "")
    with pytest.raises(NotAuthenticated) as wrong_name:
        await people.log_in(LogIn(name="b", password=PASSWORD), "")
    assert str(wrong_password.value) == str(wrong_name.value)


async def test_guessing_is_slowed_for_that_name_and_address_alone(people: People, clock: StillClock) -> None:
    await add(people, "a", Role.OPERATOR)
    for _ in range(3):
        with pytest.raises(NotAuthenticated):
            await people.log_in(LogIn(name="a", password="guess"), "10.0.0.1")
        clock.utc_s += 1
    with pytest.raises(TooManyAttempts) as caught:
        await people.log_in(LogIn(name="a", password=PASSWORD), "10.0.0.1")
    assert caught.value.retry_after_s == pytest.approx(57.0)
    await people.log_in(LogIn(name="a", password=PASSWORD), "10.0.0.2")
    clock.utc_s += 58
    await people.log_in(LogIn(name="a", password=PASSWORD), "10.0.0.1")


async def test_a_name_is_taken_once(people: People) -> None:
    await add(people, "a", Role.OPERATOR)
    with pytest.raises(Conflict, match="'a'"):
        await add(people, "a", Role.INSPECTOR)
    with pytest.raises(InputInvalid, match="role"):
        await add(people, "b")


async def test_the_first_start_makes_one_administrator(people: People) -> None:
    made_up = await people.ensure_administrator(AdministratorSettings(name="first"))
    assert made_up is not None
    person, _ = await people.log_in(LogIn(name="first", password=made_up), "")
    assert Role.ADMINISTRATOR in person.roles
    assert await people.ensure_administrator(AdministratorSettings(name="second")) is None
    assert [person.name for person in await people.everyone()] == ["first"]


async def test_a_new_password_ends_the_sessions_of_the_old_one(people: People) -> None:
    await add(people, "a", Role.OPERATOR)
    _, token = await people.log_in(LogIn(name="a", password=PASSWORD), "")
    await people.change("a", PersonChange(password="another password"), by="administrator")
    assert await people.person_of(token) is None
    with pytest.raises(NotAuthenticated):
        await people.log_in(LogIn(name="a", password=PASSWORD), "")
    person, token = await people.log_in(LogIn(name="a", password="another password"), "")
    with pytest.raises(NotAuthenticated):
        await people.change_own_password(person, NewPassword(old=PASSWORD, new="a third password"), "")
    assert await people.person_of(token) == person
    await people.change_own_password(person, NewPassword(old="another password", new="a third password"), "")
    assert await people.person_of(token) is None
    await people.log_in(LogIn(name="a", password="a third password"), "")


async def test_other_roles_hold_at_once_and_a_removed_person_is_out(people: People, store: Store) -> None:
    await add(people, "a", Role.OPERATOR)
    await add(people, "boss", Role.ADMINISTRATOR)
    _, token = await people.log_in(LogIn(name="a", password=PASSWORD), "")
    changed = await people.change("a", PersonChange(roles=(Role.INSPECTOR,), language="kk"), by="boss")
    assert await people.person_of(token) == changed
    assert (changed.roles, changed.language) == ((Role.INSPECTOR,), "kk")
    await people.remove("a", by="boss")
    assert await people.person_of(token) is None
    with pytest.raises(NotAuthenticated):
        await people.log_in(LogIn(name="a", password=PASSWORD), "")
    with pytest.raises(NotFound, match="nobody is named 'a'"):
        await people.change("a", PersonChange(language="ru"), by="boss")
    async with store.reading() as connection:
        told = await audit.history(connection, "person", changed.id)
    assert [entry.event for entry in told] == ["added", "changed", "removed"]
    assert PASSWORD not in str(told)


async def test_the_last_administrator_stays(people: People) -> None:
    await add(people, "boss", *Role)
    with pytest.raises(Conflict, match="last administrator"):
        await people.remove("boss", by="boss")
    with pytest.raises(Conflict, match="last administrator"):
        await people.change("boss", PersonChange(roles=(Role.OPERATOR,)), by="boss")
    await add(people, "other", Role.ADMINISTRATOR)
    await people.remove("boss", by="other")
    with pytest.raises(InputInvalid, match="at least one role"):
        await people.change("other", PersonChange(roles=()), by="other")
    with pytest.raises(InputInvalid, match="give password, roles or language"):
        await people.change("other", PersonChange(), by="other")
