"""SCIM 2.0: identity providers put people and groups in and take them out again. The steps are those of RFC 7644 §3 and the
shapes those of RFC 7643 §8 and of what Okta and Entra send."""

import itertools
import json
import subprocess
import urllib.parse

import pytest
from conftest import ADMIN_KEY, APP_KEY, Gateway, wait_for
from test_admin import ask, call, database, made

CONFIG = """
server: {{ listen: "127.0.0.1:{port}", threads: 1, trusted_proxies: [127.0.0.1] }}
data_dir: {data}
{store}
providers:
  house: {{ dialect: openai_chat, base_url: "http://127.0.0.1:{sim}/v1", api_key: sk-house, models: {{ echo: {{}} }} }}
models:
  smart: house/echo
organizations:
  acme: {{}}
  globex: {{}}
teams:
  search: {{ organization: acme }}
  core: {{ organization: acme }}
  by-hand: {{ organization: acme }}
users:
  fixed: {{ organization: acme }}
scim:
  groups:
    - {{ group: Leads, team: core }}
    - {{ group: Engineering, team: search }}
    - {{ group: Far, team: far }}
keys:
  - {{ name: app, key: {app} }}
  - {{ name: boss, key: {admin}, admin: true }}
  - {{ name: acme admin, key: {acme_admin}, role: admin, organization: acme }}
  - {{ name: acme viewer, key: {acme_viewer}, role: viewer, organization: acme }}
  - {{ name: globex owner, key: {globex_owner}, role: owner, organization: globex }}
"""
NAMES = ["acme_admin", "acme_viewer", "globex_owner"]
KEYS = {name: "tg-admin-" + name[:1] + f"{at}" * 40 for at, name in enumerate(NAMES)}
ACME, VIEWER, GLOBEX = KEYS.values()
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
MESSAGES = "urn:ietf:params:scim:api:messages:2.0"
FRESH = itertools.count()


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def gateway(request, tmp_path_factory, sim):
    store, drop = database(request.param)
    gateway = Gateway(tmp_path_factory.mktemp("scim"), sim, CONFIG, store=store, **KEYS)
    yield gateway
    gateway.process.kill()
    gateway.process.wait()
    if drop:
        subprocess.run(drop, check=True)


def scim(gateway, method, path, body=None, key=ACME, **headers):
    path, _, query = path.partition("?")
    path = f"/scim/v2/{path}?{urllib.parse.quote(query, safe='=&')}" if query else f"/scim/v2/{path}"
    if body is not None:
        headers.setdefault("content_type", "application/scim+json")
    answer = ask(gateway, method, path, body, key, **headers)
    if answer.text:
        assert answer.headers["content-type"] == "application/scim+json", answer.text
    return answer


def refused(answer, status, kind=None):
    body = answer.json
    assert body["schemas"] == [f"{MESSAGES}:Error"], answer.text
    assert (answer.status, body["status"], body.get("scimType")) == (status, str(status), kind), answer.text
    return body["detail"]


def user(gateway, login=None, key=ACME, **attributes):
    login = login or f"person{next(FRESH)}@example.com"
    answer = scim(gateway, "POST", "Users", {"schemas": [USER], "userName": login, **attributes}, key)
    assert answer.status == 201, answer.text
    return answer.json


def group(gateway, name=None, members=(), key=ACME):
    body = {"schemas": [GROUP], "displayName": name or f"Group {next(FRESH)}", "members": [{"value": one} for one in members]}
    answer = scim(gateway, "POST", "Groups", body, key)
    assert answer.status == 201, answer.text
    return answer.json


def patch(gateway, path, *operations, key=ACME, **headers):
    return scim(gateway, "PATCH", path, {"schemas": [f"{MESSAGES}:PatchOp"], "Operations": list(operations)}, key, **headers)


def patched(gateway, path, *operations, **headers):
    answer = patch(gateway, path, *operations, **headers)
    assert answer.status in (200, 204), answer.text
    return scim(gateway, "GET", path).json


def members(gateway, one):
    return {member["value"] for member in scim(gateway, "GET", f"Groups/{one['id']}").json.get("members", [])}


def found(gateway, query, key=ACME):
    answer = scim(gateway, "GET", query, key=key)
    assert answer.status == 200, answer.text
    return answer.json


def names(gateway, query):
    return [one["userName"] for one in found(gateway, query).get("Resources", [])]


# The shape of RFC 7643 §8.2 and §8.3: everything that a user may have.
WHOLE = {
    "externalId": "ext-4711",
    "name": {"formatted": "Ms. Mira J Ek, III", "familyName": "Ek", "givenName": "Mira", "middleName": "Jo", "honorificPrefix": "Ms.", "honorificSuffix": "III"},
    "displayName": "Mira Ek", "nickName": "Mi", "profileUrl": "https://login.example.com/mira", "userType": "Employee", "title": "Tour Guide",
    "preferredLanguage": "en-US", "locale": "en-US", "timezone": "Europe/Stockholm", "active": True,
    "emails": [{"value": "mira@example.com", "type": "work", "primary": True}, {"value": "mi@ek.example", "type": "home"}],
    "addresses": [{"streetAddress": "1 Square", "locality": "Here", "region": "HE", "postalCode": "91608", "country": "SE", "formatted": "1 Square\nHere", "type": "work", "primary": True}],
    "phoneNumbers": [{"value": "555-555-5555", "type": "work"}],
    "ims": [{"value": "miraek", "type": "aim"}],
    "photos": [{"value": "https://photos.example.com/mira.png", "type": "photo"}],
    "roles": [{"value": "guide"}], "entitlements": [{"value": "bus"}],
    "x509Certificates": [{"value": "MIIBAgM="}],
    ENTERPRISE: {"employeeNumber": "701984", "costCenter": "4130", "organization": "Studios", "division": "Park", "department": "Tours", "manager": {"value": "26118915", "$ref": "../Users/26118915"}},
}


def test_a_user_lives_from_creation_to_its_end(gateway):
    name = f"mira{next(FRESH)}@example.com"
    body = {"schemas": [USER, ENTERPRISE], "userName": name, "password": "t1meMa$heen", "id": "own", "groups": [{"value": "x"}], "favourite": "red", **WHOLE}
    answer = scim(gateway, "POST", "Users", body)
    assert answer.status == 201, answer.text
    one = answer.json
    assert {name: one[name] for name in WHOLE} == WHOLE and one["userName"] == name
    assert one["schemas"] == [USER, ENTERPRISE] and not {"password", "groups", "favourite"} & set(one)
    path = f"Users/{one['id']}"
    assert one["meta"]["location"] == answer.headers["location"] == f"{gateway.url}/scim/v2/{path}"
    assert one["meta"]["resourceType"] == "User" and one["meta"]["created"] == one["meta"]["lastModified"]
    assert one["meta"]["version"] == answer.headers["etag"] == 'W/"1"'
    assert scim(gateway, "GET", path).json == one
    assert scim(gateway, "GET", path, if_none_match='W/"1"').status == 304

    replaced = scim(gateway, "PUT", path, {"schemas": [USER], "userName": name.upper(), "title": "Lead", "id": "x"}, if_match='W/"1"')
    assert replaced.status == 200 and replaced.headers["etag"] == 'W/"2"', replaced.text
    assert (replaced.json["userName"], replaced.json["title"]) == (name.upper(), "Lead")
    assert set(replaced.json) == {"schemas", "id", "userName", "title", "active", "meta"} and replaced.json["schemas"] == [USER]
    same = scim(gateway, "PUT", path, replaced.json)
    assert same.headers["etag"] == 'W/"2"', "what changes nothing is no change"
    shown = ask(gateway, "GET", f"users/{one['id']}")
    assert shown.json["name"] == name.upper() and shown.json["version"] == 2

    assert "version 2" in refused(scim(gateway, "DELETE", path, if_match='W/"1"'), 412)
    gone = scim(gateway, "DELETE", path, if_match='W/"2"')
    assert (gone.status, gone.text) == (204, "")
    for method in ["GET", "PUT", "PATCH", "DELETE"]:
        body = {"userName": "x"} if method == "PUT" else {"Operations": [{"op": "remove", "path": "title"}]}
        refused(scim(gateway, method, path, body if method[0] == "P" else None), 404)
    assert user(gateway, name)["id"] != one["id"], "the name is free again"


def test_names_are_taken_once_whatever_their_case(gateway):
    one, other = user(gateway), user(gateway)
    detail = refused(scim(gateway, "POST", "Users", {"userName": one["userName"].upper()}), 409, "uniqueness")
    assert one["id"] in detail
    refused(scim(gateway, "PUT", f"Users/{other['id']}", {"userName": one["userName"]}), 409, "uniqueness")
    refused(patch(gateway, f"Users/{other['id']}", {"op": "replace", "path": "userName", "value": one["userName"]}), 409, "uniqueness")
    team = group(gateway)
    refused(scim(gateway, "POST", "Groups", {"displayName": team["displayName"]}), 409, "uniqueness")
    refused(scim(gateway, "POST", "Users", {"userName": "fixed"}), 409, "uniqueness")


def test_lists_are_filtered_sorted_and_paged(gateway):
    mark = f"list{next(FRESH)}"
    titles = ["beta", "Alpha", None, "gamma"]
    made = [
        user(gateway, f"{mark}-{at}@example.com", externalId=f"{mark}/{at}", **({"title": title} if title else {}),
             emails=[{"type": "work", "value": f"{mark}-{at}@mail.example"}, {"type": "home", "value": f"{9 - at}{mark}@home.example", "primary": True}])
        for at, title in enumerate(titles)
    ]
    all_of = f'filter=userName sw "{mark}"'
    page = found(gateway, f"Users?{all_of}")
    assert page["schemas"] == [f"{MESSAGES}:ListResponse"]
    assert (page["totalResults"], page["itemsPerPage"], page["startIndex"]) == (4, 4, 1)
    assert [one["id"] for one in page["Resources"]] == [one["id"] for one in made]
    page = found(gateway, f"Users?{all_of}&startIndex=2&count=2")
    assert (page["totalResults"], page["itemsPerPage"], page["startIndex"]) == (4, 2, 2)
    assert [one["id"] for one in page["Resources"]] == [one["id"] for one in made[1:3]]
    assert found(gateway, f"Users?{all_of}&count=0")["Resources"] == []
    assert found(gateway, f"Users?{all_of}&count=-3")["totalResults"] == 4
    assert found(gateway, f"Users?{all_of}&startIndex=-3")["startIndex"] == 1
    assert found(gateway, f"Users?{all_of}&startIndex=9")["Resources"] == []
    assert found(gateway, "Users?count=100000")["itemsPerPage"] <= 200

    order = lambda query: [int(one["externalId"].split("/")[1]) for one in found(gateway, f"Users?{all_of}&{query}")["Resources"]]
    assert order("sortBy=title") == [1, 0, 3, 2], "without regard to case; what has none comes last"
    assert order("sortBy=TITLE&sortOrder=descending") == [2, 3, 0, 1]
    assert order("sortBy=emails.value") == order("sortBy=emails") == [3, 2, 1, 0], "the primary one counts"
    assert order("sortBy=userName&startIndex=2&count=2") == [1, 2]
    assert "sortBy" in refused(scim(gateway, "GET", "Users?sortBy=colour"), 400, "invalidValue")
    refused(scim(gateway, "GET", "Users?sortOrder=up"), 400, "invalidValue")
    refused(scim(gateway, "GET", "Users?count=many"), 400, "invalidValue")
    refused(scim(gateway, "GET", "Users?attributes=" + "x," * 100), 400, "invalidValue")

    for text, expected in [
        (f'userName eq "{mark}-0@example.com"', [0]),
        (f'USERNAME EQ "{mark.upper()}-0@EXAMPLE.COM"', [0]),
        (f'{USER}:userName sw "{mark}" and title pr', [0, 1, 3]),
        (f'externalId eq "{mark}/3"', [3]),
        (f'externalId eq "{mark.upper()}/3"', []),
        (f'userName co "{mark}" and not (title eq "alpha" or title eq "beta")', [2, 3]),
        (f'emails[type eq "work" and value co "{mark}-1@"]', [1]),
        (f'emails[type eq "work"].value eq "{mark}-2@mail.example"', [2]),
        (f'emails co "{mark}-2@" or emails.value co "8{mark}"', [1, 2]),
        (f'userName ew "3@example.com" and userName co "{mark}" and meta.lastModified gt "2020-01-01T00:00:00Z"', [3]),
        (f'userName co "{mark}" and meta.created lt "2020-01-01T00:00:00Z"', []),
        (f'id eq "{made[1]["id"]}" and active eq true and groups.value ne "x" and colour ne "red"', [1]),
        (f'meta.resourceType eq "User" and userName co "{mark}" and title gt "b"', [0, 3]),
    ]:
        listed = [int(one["externalId"].split("/")[1]) for one in found(gateway, f"Users?filter={text}")["Resources"]]
        assert listed == expected, text


def test_some_attributes_are_shown(gateway):
    one = user(gateway, **WHOLE)
    path = f"Users/{one['id']}"
    some = found(gateway, f"{path}?attributes=userName,name.familyName,emails.value,{ENTERPRISE}:department,colour")
    assert some == {
        "schemas": [USER, ENTERPRISE], "id": one["id"], "userName": one["userName"], "name": {"familyName": "Ek"},
        "emails": [{"value": "mira@example.com"}, {"value": "mi@ek.example"}], ENTERPRISE: {"department": "Tours"},
    }
    less = found(gateway, f"{path}?excludedAttributes=emails.type,meta,id,{ENTERPRISE}")
    assert set(one) - set(less) == {"meta", ENTERPRISE} and "type" not in less["emails"][0]
    listed = found(gateway, f'Users?filter=id eq "{one["id"]}"&attributes=userName')["Resources"]
    assert listed == [{"schemas": [USER, ENTERPRISE], "id": one["id"], "userName": one["userName"]}]
    made = scim(gateway, "POST", "Users?attributes=userName", {"userName": f"{next(FRESH)}@x", "title": "T"})
    assert set(made.json) == {"schemas", "id", "userName"}


def test_searches_stand_in_bodies_as_well(gateway):
    mark = f"search{next(FRESH)}"
    one, team = user(gateway, f"{mark}@example.com", displayName=mark), group(gateway, mark)
    body = {"schemas": [f"{MESSAGES}:SearchRequest"], "attributes": ["displayName"], "filter": f'displayName eq "{mark}"', "startIndex": 1, "count": 10}
    both = scim(gateway, "POST", ".search", body).json
    assert both["totalResults"] == 2
    assert both["Resources"] == [
        {"schemas": [USER], "id": one["id"], "displayName": mark}, {"schemas": [GROUP], "id": team["id"], "displayName": mark},
    ]
    assert scim(gateway, "POST", "Users/.search", body).json["totalResults"] == 1
    assert scim(gateway, "POST", "Groups/.search", {**body, "sortBy": "displayName"}).json["Resources"][0]["id"] == team["id"]
    refused(scim(gateway, "POST", ".search", {"schemas": [f"{MESSAGES}:PatchOp"]}), 400, "invalidValue")


# RFC 7644 §3.5.2.1 to §3.5.2.3, each with what it leaves.
PATCHES = [
    ([{"op": "add", "value": {"emails": [{"value": "babs@j.example", "type": "home"}], "nickName": "Babs"}}], lambda one: (one["nickName"], [mail["value"] for mail in one["emails"]]), ("Babs", ["mira@example.com", "mi@ek.example", "babs@j.example"])),
    ([{"op": "add", "path": "nickName", "value": "Babs"}], lambda one: one["nickName"], "Babs"),
    ([{"op": "remove", "path": "phoneNumbers"}], lambda one: "phoneNumbers" in one, False),
    ([{"op": "remove", "path": 'emails[type eq "work" and value ew "example.com"]'}], lambda one: [mail["type"] for mail in one["emails"]], ["home"]),
    ([{"op": "remove", "path": 'addresses[type eq "work"]'}, {"op": "add", "path": "addresses", "value": [{"type": "home", "locality": "There"}]}], lambda one: one["addresses"], [{"type": "home", "locality": "There"}]),
    ([{"op": "replace", "path": 'addresses[type eq "work"]', "value": {"type": "work", "streetAddress": "911 Plaza"}}], lambda one: one["addresses"], [{"type": "work", "streetAddress": "911 Plaza"}]),
    ([{"op": "replace", "path": 'addresses[type eq "work"].streetAddress', "value": "1010 Broadway"}], lambda one: (one["addresses"][0]["streetAddress"], one["addresses"][0]["locality"]), ("1010 Broadway", "Here")),
    ([{"op": "replace", "value": {"emails": [{"value": "b@x.example", "type": "work", "primary": True}], "nickName": "B"}}], lambda one: (one["nickName"], one["emails"]), ("B", [{"value": "b@x.example", "type": "work", "primary": True}])),
    ([{"op": "replace", "path": "emails", "value": []}], lambda one: "emails" in one, False),
    ([{"op": "replace", "path": "name", "value": {"givenName": "M"}}], lambda one: (one["name"]["givenName"], one["name"]["familyName"]), ("M", "Ek")),
    ([{"op": "add", "path": "emails", "value": [{"value": "new@x.example", "primary": True}]}], lambda one: [mail.get("primary", False) for mail in one["emails"]], [False, False, True]),
    # Entra's spellings.
    ([{"op": "Replace", "path": "active", "value": "False"}], lambda one: one["active"], False),
    ([{"op": "Replace", "path": 'emails[type eq "work"].value', "value": "e@x.example"}, {"op": "Replace", "path": "name.familyName", "value": "Ny"}], lambda one: (one["emails"][0]["value"], one["name"]["familyName"]), ("e@x.example", "Ny")),
    ([{"op": "Add", "path": 'phoneNumbers[type eq "mobile"].value', "value": "1"}], lambda one: one["phoneNumbers"][1], {"type": "mobile", "value": "1"}),
    ([{"op": "Add", "path": f"{ENTERPRISE}:manager", "value": "m-1"}, {"op": "Replace", "path": f"{ENTERPRISE}:department", "value": "Sales"}], lambda one: (one[ENTERPRISE]["manager"]["value"], one[ENTERPRISE]["department"]), ("m-1", "Sales")),
    ([{"op": "replace", "value": {"displayName": "D", "name.givenName": "G", f"{ENTERPRISE}:costCenter": "1"}}], lambda one: (one["displayName"], one["name"]["givenName"], one[ENTERPRISE]["costCenter"]), ("D", "G", "1")),
    ([{"op": "Remove", "path": f"{ENTERPRISE}:manager"}], lambda one: "manager" in one[ENTERPRISE], False),
    # Okta's.
    ([{"op": "replace", "value": {"active": False}}], lambda one: one["active"], False),
]


@pytest.mark.parametrize("operations, look, expected", PATCHES)
def test_patches_leave_what_the_standard_says(gateway, operations, look, expected):
    one = user(gateway, **WHOLE)
    assert look(patched(gateway, f"Users/{one['id']}", *operations)) == expected


def test_patches_that_cannot_be_done_change_nothing(gateway):
    one = user(gateway, **WHOLE)
    path = f"Users/{one['id']}"
    first = {"op": "replace", "path": "title", "value": "changed"}
    for operation, kind in [
        ({"op": "replace", "path": 'emails[type eq "fax"].value', "value": "x"}, "noTarget"),
        ({"op": "remove"}, "noTarget"),
        ({"op": "replace", "path": "id", "value": "x"}, "mutability"),
        ({"op": "remove", "path": "userName"}, "mutability"),
        ({"op": "add", "path": "colour", "value": "x"}, "invalidPath"),
        ({"op": "add", "path": "emails[type eq", "value": "x"}, "invalidPath"),
        ({"op": "replace", "path": "active", "value": "perhaps"}, "invalidValue"),
        ({"op": "replace", "path": "userName", "value": " x"}, "invalidValue"),
        ({"op": "replace", "path": "emails", "value": [{"primary": True, "value": "a"}, {"primary": True, "value": "b"}]}, "invalidValue"),
        ({"op": "copy", "path": "title"}, "invalidSyntax"),
    ]:
        assert refused(patch(gateway, path, first, operation), 400, kind)
    refused(scim(gateway, "PATCH", path, {"schemas": [USER], "Operations": [first]}), 400, "invalidValue")
    refused(scim(gateway, "PATCH", path, "{"), 400, "invalidSyntax")
    refused(scim(gateway, "PATCH", path, "[]"), 400, "invalidSyntax")
    refused(scim(gateway, "PATCH", path, {"Operations": []}), 400, "invalidSyntax")
    refused(patch(gateway, path, *[first] * 1001), 400, "tooMany")
    refused(patch(gateway, path, first, if_match='W/"9"'), 412)
    assert scim(gateway, "GET", path).json == one
    assert patch(gateway, path, first, if_match='"1"').status == 200, "strong tags will do"


def test_groups_have_members_and_users_show_their_groups(gateway):
    mira, noor, sam = (user(gateway) for _ in range(3))
    guides = group(gateway, members=[mira["id"]])
    assert guides["members"] == [{"value": mira["id"], "$ref": mira["meta"]["location"], "display": mira["userName"], "type": "User"}]
    path = f"Groups/{guides['id']}"
    staff = group(gateway, members=[guides["id"], sam["id"]])
    assert {one["type"] for one in staff["members"]} == {"User", "Group"}
    shown = scim(gateway, "GET", f"Users/{mira['id']}").json["groups"]
    assert [(one["value"], one["display"], one["type"]) for one in shown] == [
        (guides["id"], guides["displayName"], "direct"), (staff["id"], staff["displayName"], "indirect"),
    ]
    assert scim(gateway, "GET", path).json["members"] == guides["members"]
    assert names(gateway, f'Users?filter=groups.value eq "{staff["id"]}"') == [mira["userName"], sam["userName"]]
    listed = found(gateway, f'Groups?filter=members.value eq "{mira["id"]}"')["Resources"]
    assert [one["id"] for one in listed] == [guides["id"]] and listed[0]["members"] == guides["members"]
    assert "members" not in found(gateway, f"{path}?excludedAttributes=members")

    # RFC 7644 §3.5.2 on members, and how Entra and Okta write it.
    add = patch(gateway, path, {"op": "add", "path": "members", "value": [{"display": "N", "$ref": "x", "value": noor["id"]}]})
    assert (add.status, add.text, add.headers["etag"]) == (204, "", 'W/"3"')
    assert members(gateway, guides) == {mira["id"], noor["id"]}
    again = patch(gateway, path, {"op": "Add", "path": "members", "value": [{"value": noor["id"]}]})
    assert again.headers["etag"] == 'W/"3"', "who is there is not added again"
    patched(gateway, path, {"op": "remove", "path": f'members[value eq "{mira["id"]}"]'})
    assert members(gateway, guides) == {noor["id"]}
    assert "groups" not in scim(gateway, "GET", f"Users/{mira['id']}").json
    patched(gateway, path, {"op": "Remove", "path": f'members[value eq "{mira["id"]}"]'})
    patched(gateway, path, {"op": "Add", "path": "members", "value": [{"value": mira["id"]}, {"value": sam["id"]}]})
    patched(gateway, path, {"op": "Remove", "path": "members", "value": [{"value": noor["id"]}, {"value": sam["id"]}]})
    assert members(gateway, guides) == {mira["id"]}
    patched(gateway, path, {"op": "replace", "path": "members", "value": [{"value": noor["id"]}]})
    patched(gateway, path, {"op": "remove", "path": f'members[value eq "{noor["id"]}"]'}, {"op": "add", "path": "members", "value": [{"value": sam["id"]}]})
    assert members(gateway, guides) == {sam["id"]}
    renamed = patched(gateway, path, {"op": "replace", "value": {"id": guides["id"], "displayName": f"Renamed {next(FRESH)}"}})
    assert members(gateway, guides) == {sam["id"]} and renamed["displayName"].startswith("Renamed")
    assert patch(gateway, f"{path}?attributes=displayName", {"op": "replace", "path": "externalId", "value": "e"}).json["displayName"] == renamed["displayName"]
    patched(gateway, path, {"op": "remove", "path": "members"})
    assert members(gateway, guides) == set()
    replaced = scim(gateway, "PUT", path, {"schemas": [GROUP], "displayName": renamed["displayName"], "members": [{"value": mira["id"]}, {"value": noor["id"]}]})
    assert {one["value"] for one in replaced.json["members"]} == {mira["id"], noor["id"]} and "externalId" not in replaced.json

    assert "cannot be in themselves" in refused(patch(gateway, path, {"op": "add", "path": "members", "value": [{"value": staff["id"]}]}), 400, "invalidValue")
    refused(patch(gateway, path, {"op": "add", "path": "members", "value": [{"value": guides["id"]}]}), 400, "invalidValue")
    refused(patch(gateway, path, {"op": "add", "path": "members", "value": [{"value": mira["id"][:-1] + "x"}]}), 400, "invalidValue")
    refused(patch(gateway, path, {"op": "add", "path": "members", "value": [{"value": "0" * 32}]}), 400, "invalidValue")
    refused(patch(gateway, path, {"op": "replace", "path": f'members[value eq "{mira["id"]}"].value', "value": noor["id"]}), 400, "mutability")
    refused(patch(gateway, path, {"op": "remove", "path": "displayName"}), 400, "mutability")

    assert scim(gateway, "DELETE", f"Users/{noor['id']}").status == 204
    assert members(gateway, guides) == {mira["id"]}, "who has ended is in no group"
    assert scim(gateway, "DELETE", path).status == 204
    assert "groups" not in scim(gateway, "GET", f"Users/{mira['id']}").json
    assert members(gateway, staff) == {sam["id"]}


def team_of(gateway, one):
    team = ask(gateway, "GET", f"users/{one['id']}").json.get("team")
    return team and ask(gateway, "GET", f"teams/{team}").json["name"]


def test_groups_put_their_members_below_teams(gateway):
    mira, sam = user(gateway), user(gateway)
    engineering = group(gateway, "Engineering", [mira["id"]])
    assert (team_of(gateway, mira), team_of(gateway, sam)) == ("search", None)
    leads = group(gateway, "Leads", [mira["id"]])
    assert team_of(gateway, mira) == "core", "of several the first that is written holds"
    backend = group(gateway, members=[sam["id"]])
    patched(gateway, f"Groups/{engineering['id']}", {"op": "add", "path": "members", "value": [{"value": backend["id"]}]})
    assert team_of(gateway, sam) == "search", "groups in a group count"
    patched(gateway, f"Groups/{leads['id']}", {"op": "replace", "path": "displayName", "value": f"Former {next(FRESH)}"})
    assert team_of(gateway, mira) == "search"
    by_hand = ask(gateway, "PATCH", f"users/{sam['id']}", {"team": "by-hand"})
    assert by_hand.status == 200, by_hand.text
    assert scim(gateway, "DELETE", f"Groups/{engineering['id']}").status == 204
    assert (team_of(gateway, mira), team_of(gateway, sam)) == (None, "by-hand"), "what somebody chose stays"
    scim(gateway, "DELETE", f"Groups/{leads['id']}")


def test_the_admin_api_leaves_what_providers_say(gateway):
    one = user(gateway, **WHOLE)
    team = group(gateway, members=[one["id"]])
    path = f"users/{one['id']}"
    assert ask(gateway, "PATCH", path, {"models": ["smart"], "disabled": True}).status == 200
    shown = scim(gateway, "GET", f"Users/{one['id']}").json
    assert shown["active"] is False and {name: shown[name] for name in WHOLE if name != "active"} == {name: WHOLE[name] for name in WHOLE if name != "active"}
    assert ask(gateway, "PUT", path, {"name": f"again {next(FRESH)}", "organization": "acme", "tags": {"floor": "2"}}).status == 200
    shown = scim(gateway, "GET", f"Users/{one['id']}").json
    assert shown["active"] is True and shown["externalId"] == WHOLE["externalId"] and shown["groups"][0]["value"] == team["id"]
    assert shown["userName"].startswith("again")
    patched(gateway, f"Users/{one['id']}", {"op": "replace", "path": "title", "value": "Other"}, {"op": "replace", "path": "active", "value": False})
    told = ask(gateway, "GET", path).json
    assert (told["tags"], told["disabled"], told["organization"]) == ({"floor": "2"}, True, ask(gateway, "GET", "organizations/acme").json["id"])
    replaced = scim(gateway, "PUT", f"Users/{one['id']}", {"userName": shown["userName"]}).json
    assert replaced["active"] is False, "what is not said stays"


def test_what_the_file_owns_is_shown_and_not_changed(gateway):
    one = found(gateway, 'Users?filter=userName eq "fixed"')["Resources"][0]
    assert one["active"] is True and "version" not in one["meta"]
    path = f"Users/{one['id']}"
    assert scim(gateway, "GET", path).json == one
    for method, body in [("PUT", {"userName": "fixed"}), ("DELETE", None), ("PATCH", {"Operations": [{"op": "replace", "path": "active", "value": False}]})]:
        assert "configuration file" in refused(scim(gateway, method, path, body), 403, "mutability")
    refused(scim(gateway, "POST", "Groups", {"displayName": "With fixed", "members": [{"value": one["id"]}]}), 403, "mutability")
    assert found(gateway, 'Groups?filter=displayName eq "With fixed"')["totalResults"] == 0, "nothing of it was done"


def test_who_leaves_loses_every_key(gateway):
    one = user(gateway)
    keys = [made(gateway, "keys", {"user": one["id"]}) for _ in range(2)]
    assert call(gateway, keys[0]["key"]).status == 200
    patched(gateway, f"Users/{one['id']}", {"op": "Replace", "path": "active", "value": "False"})
    assert call(gateway, keys[0]["key"]).code == (403, "disabled")
    patched(gateway, f"Users/{one['id']}", {"op": "replace", "value": {"active": True}})
    assert call(gateway, keys[1]["key"]).status == 200
    assert scim(gateway, "DELETE", f"Users/{one['id']}").status == 204
    for key in keys:
        assert call(gateway, key["key"]).code == (401, "key_revoked")
    owner = user(gateway)
    made(gateway, "keys", {"user": owner["id"], "role": "owner"})
    refused(scim(gateway, "DELETE", f"Users/{owner['id']}"), 403)
    assert scim(gateway, "GET", f"Users/{owner['id']}").status == 200, "keys of a higher role are out of reach"


def test_who_has_a_higher_role_is_not_kept_out(gateway):
    one = user(gateway)
    owner = made(gateway, "keys", {"user": one["id"], "role": "owner"})
    inactive = {"op": "replace", "path": "active", "value": False}
    assert owner["name"] in refused(patch(gateway, f"Users/{one['id']}", inactive), 403)
    refused(scim(gateway, "PUT", f"Users/{one['id']}", {"userName": one["userName"], "active": False}), 403)
    assert ask(gateway, "GET", "me", key=owner["key"]).status == 200
    named = f"lead{next(FRESH)}@example.com"
    account = {"name": named, "role": "owner", "organization": "acme"}
    assert ask(gateway, "POST", "accounts", account).status == 201
    assert named in refused(scim(gateway, "POST", "Users", {"userName": named.upper(), "active": False}), 403)
    idle = user(gateway, active=False)
    refused(patch(gateway, f"Users/{idle['id']}", {"op": "replace", "path": "userName", "value": named}), 403)
    same = user(gateway, named)
    refused(patch(gateway, f"Users/{same['id']}", inactive), 403)
    # A group stands for a team, with whatever holds there.
    assert ask(gateway, "POST", "teams", {"name": "far", "organization": "acme", "addresses": ["192.0.2.0/24"]}).status == 201
    refused(scim(gateway, "POST", "Groups", {"displayName": "Far", "members": [{"value": one["id"]}]}), 403)
    lower = user(gateway)
    admin = made(gateway, "keys", {"user": lower["id"], "role": "admin"})
    for active in [False, True]:
        patched(gateway, f"Users/{lower['id']}", {"op": "replace", "path": "active", "value": active})
        assert ask(gateway, "GET", "me", key=admin["key"]).status == (200 if active else 403)
    other = user(gateway, key=GLOBEX)
    assert patch(gateway, f"Users/{other['id']}", inactive, key=GLOBEX).status == 200


def test_changes_are_written_down(gateway):
    one = user(gateway, password="t1meMa$heen")
    team = group(gateway, members=[one["id"]])
    patched(gateway, f"Users/{one['id']}", {"op": "replace", "path": "active", "value": False})
    scim(gateway, "DELETE", f"Groups/{team['id']}")
    entries = ask(gateway, "GET", f"audit?object={one['id']}").json["data"]
    actor = next(key["id"] for key in ask(gateway, "GET", "keys?limit=500").json["data"] if key["name"] == "acme admin")
    assert [entry["action"] for entry in entries] == ["update", "update", "update", "create"]
    assert {entry["actor"] for entry in entries} == {actor} and entries[1]["after"]["body"]["disabled"] is True
    assert "t1meMa" not in json.dumps(entries)
    assert [entry["action"] for entry in ask(gateway, "GET", f"audit?object={team['id']}&kind=group").json["data"]] == ["delete", "create"]
    assert ask(gateway, "GET", "audit/verify").json == {"whole": True, "broken_at": None}


def test_tenants_cannot_cross(gateway):
    theirs, ours = user(gateway, key=GLOBEX), user(gateway)
    their_group = group(gateway, members=[theirs["id"]], key=GLOBEX)
    for path in [f"Users/{theirs['id']}", f"Groups/{their_group['id']}"]:
        for method, body in [("GET", None), ("PUT", {"userName": "x", "displayName": "x"}), ("PATCH", {"Operations": [{"op": "remove", "path": "externalId"}]}), ("DELETE", None)]:
            refused(scim(gateway, method, path, body), 404)
            refused(scim(gateway, method, path, body, key=ADMIN_KEY), 404)
    assert found(gateway, f'Users?filter=id eq "{theirs["id"]}"')["totalResults"] == 0
    assert found(gateway, f'Groups?filter=members.value eq "{theirs["id"]}"')["totalResults"] == 0
    for group_id in [group(gateway)["id"]]:
        refused(patch(gateway, f"Groups/{group_id}", {"op": "add", "path": "members", "value": [{"value": theirs["id"]}]}), 400, "invalidValue")
    same = user(gateway, theirs["userName"])
    assert same["id"] != theirs["id"], "names are told apart by organization"
    assert scim(gateway, "GET", f"Users/{theirs['id']}", key=GLOBEX).json == scim(gateway, "GET", f"Users/{theirs['id']}", key=GLOBEX).json
    nobodys = user(gateway, key=ADMIN_KEY)
    refused(scim(gateway, "GET", f"Users/{nobodys['id']}"), 404)
    assert found(gateway, f'Users?filter=id eq "{nobodys["id"]}" or id eq "{ours["id"]}"', ADMIN_KEY)["totalResults"] == 1
    assert "organization" not in ask(gateway, "GET", f"users/{nobodys['id']}").json


def test_who_may_not_is_told_as_the_standard_says(gateway):
    refused(scim(gateway, "GET", "Users", key=None), 401)
    assert scim(gateway, "GET", "Users", key="tg-admin-" + "z" * 43).headers["www-authenticate"] == "Bearer"
    refused(scim(gateway, "GET", "Users", key=APP_KEY), 403)
    assert "parts:write" in refused(scim(gateway, "GET", "ServiceProviderConfig", key=VIEWER), 403)
    refused(scim(gateway, "POST", "Users", {"userName": "x"}, key=VIEWER), 403)
    refused(scim(gateway, "GET", "Persons"), 404)
    refused(scim(gateway, "GET", "Users/nobody"), 404)
    refused(scim(gateway, "DELETE", "Users"), 405)
    refused(scim(gateway, "GET", "Me"), 501)
    refused(scim(gateway, "POST", "Bulk", {"Operations": []}), 501)
    refused(scim(gateway, "POST", "Users", " " * (1 << 20) + "{}"), 413)
    for body, kind in [({}, "invalidValue"), ({"userName": 5}, "invalidValue"), ({"userName": "x" * 201}, "invalidValue"), ({"schemas": [GROUP], "userName": "x"}, "invalidValue"),
                       ({"userName": "big", "photos": [{"value": "x" * 16000}] * 5}, "invalidValue"), ("x", "invalidSyntax"), ("", "invalidSyntax")]:
        refused(scim(gateway, "POST", "Users", body), 400, kind)


@pytest.mark.parametrize("text, at", [
    ("", None), ("userName", 9), ("userName zz 5", 10), ('userName eq "x', 13), ('(userName pr', 13), ("userName pr)", 12), ('emails[type eq "x"', 19),
    ("userName eq mira", 13), ("active gt true", 11), ("(" * 4000, 22), ("not " * 900 + "title pr", 5), ("x" * 4097, 1), (" or ".join(["title pr"] * 200), 1201),
    ('userName eq "\\ud800"', 13), ("userName eq {}", 13), ("emails[" * 500, 15), ("'; DROP TABLE objects; --", 1), ("title pr and", 13), ("title pr AND NOT title pr", 18),
])
def test_filters_that_cannot_be_read_are_refused_with_their_place(gateway, text, at):
    answer = scim(gateway, "POST", "Users/.search", {"filter": text})
    if at is None:
        assert answer.status == 200
        return
    assert f"at character {at}:" in refused(answer, 400, "invalidFilter")
    if len(text) < 1000:
        refused(scim(gateway, "GET", f"Users?filter={text}"), 400, "invalidFilter")


def test_what_there_is_of_the_standard_is_told(gateway):
    told = found(gateway, "ServiceProviderConfig")
    assert [told[name]["supported"] for name in ["patch", "bulk", "filter", "changePassword", "sort", "etag"]] == [True, False, True, False, True, True]
    assert told["filter"]["maxResults"] == 200 and told["authenticationSchemes"][0]["type"] == "oauthbearertoken"
    types = found(gateway, "ResourceTypes")["Resources"]
    assert [(one["id"], one["endpoint"], one["schema"]) for one in types] == [("User", "/Users", USER), ("Group", "/Groups", GROUP)]
    assert types[0]["schemaExtensions"] == [{"schema": ENTERPRISE, "required": False}]
    assert found(gateway, "ResourceTypes/User") == types[0]
    schemas = {one["id"]: one for one in found(gateway, "Schemas")["Resources"]}
    assert set(schemas) == {USER, GROUP, ENTERPRISE} and found(gateway, f"Schemas/{USER}") == schemas[USER]
    attributes = {one["name"]: one for one in schemas[USER]["attributes"]}
    assert (attributes["userName"]["required"], attributes["userName"]["uniqueness"], attributes["userName"]["caseExact"]) == (True, "server", False)
    assert (attributes["password"]["mutability"], attributes["password"]["returned"]) == ("writeOnly", "never")
    assert attributes["groups"]["mutability"] == "readOnly" and attributes["emails"]["multiValued"] is True
    assert set(WHOLE) - {"externalId", ENTERPRISE} <= set(attributes)
    refused(scim(gateway, "GET", 'Schemas?filter=id eq "x"'), 403)
    refused(scim(gateway, "GET", "Schemas/urn:x"), 404)


def test_another_replica_refuses_within_a_second(tmp_path, sim, address):
    made_of = {"store": f'store: {{ database: "{address}", secret: "{"s" * 32}" }}', **KEYS}
    replicas = []
    try:
        for name in ["one", "two"]:
            (tmp_path / name).mkdir()
            replicas.append(Gateway(tmp_path / name, sim, CONFIG, **made_of))
        one, two = replicas
        person = user(one)
        key = made(one, "keys", {"user": person["id"]})["key"]
        wait_for(lambda: call(two, key).status == 200, "the key at the other replica", 5)
        patched(one, f"Users/{person['id']}", {"op": "replace", "path": "active", "value": False})
        wait_for(lambda: call(two, key).status == 403, "the other replica", 5)
        assert scim(two, "GET", f"Users/{person['id']}").json["active"] is False
        assert scim(two, "DELETE", f"Users/{person['id']}").status == 204
        wait_for(lambda: call(one, key).status == 401, "the first replica", 5)
    finally:
        for replica in replicas:
            replica.process.kill()
