"""The people of the demonstration, one for each role worth trying."""

from django.contrib.auth.models import Group, User

from config.logins import Logins

ROLES = {"julia": "User", "peter": "Lead", "sandra": "Viewer"}


def make_people(logins: Logins) -> User:
    """Make the people who are missing; return the one who launches the imports."""
    logins.make("admin", is_staff=True, is_superuser=True)
    people = {}
    for name, role in ROLES.items():
        people[name] = logins.make(name, first_name=name.capitalize())
        people[name].groups.add(Group.objects.get(name=role))
    return people["julia"]


def login_lines(logins: Logins) -> list[str]:
    """Return a line for each login: name, password, role."""
    passwords = logins.read()
    return [
        f"  {name:8} {passwords.get(name, '(password changed)'):18} {role}"
        for name, role in {"admin": "superuser", **ROLES}.items()
    ]
