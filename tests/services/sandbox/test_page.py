"""The page and what stands behind it: state, messages, events; nothing from outside, no markup."""

import gzip
import json
import re
from hashlib import sha256

import pytest

from services.sandbox.page_routes import STATIC
from tests.services.sandbox.conftest import ANYA, AVTOBUS, GROUP_ID, Sandbox

OWN_FILES = sorted(file for file in STATIC.iterdir() if file.is_file())


async def test_the_page_gets_messages_typing_and_deletions(sandbox: Sandbox) -> None:
    async with sandbox.events() as events:
        said = await sandbox.say("Привет", chat="avtobus")
        assert await anext(events) == {"type": "message", **said}
        await sandbox.avtobus.send_chat_action(ANYA, "typing")
        room = f"avtobus/{ANYA}"
        expected = {"type": "action", "room": room, "bot": "avtobus", "action": "typing"}
        assert await anext(events) == expected
        sent = await sandbox.avtobus.send_message(ANYA, "Заходите")
        event = await anext(events)
        assert (event["room"], event["from"], event["text"]) == (room, AVTOBUS, "Заходите")
        await sent.delete()
        assert await anext(events) == {"type": "deleted", "room": room, "id": sent.message_id}


async def test_the_state_holds_all_that_the_page_shows(sandbox: Sandbox) -> None:
    said = await sandbox.say("Раз", person="Борис")
    await sandbox.send("Два", reply_to_message_id=said["id"])
    state = await sandbox.get("/api/state")
    assert [one["name"] for one in state["people"] if one["owner"]] == ["Аня"]
    assert [(one["mention"], one["emoji"]) for one in state["bots"]] == [
        ("@avtobus_bot", "🚌"),
        ("@polkson_bot", "🐘"),
    ]
    assert [(m["text"], m["name"], m["reply_to"]) for m in state["messages"]] == [
        ("Раз", "Борис", None),
        ("Два", "Avtobus", said["id"]),
    ]
    (logged,) = (await sandbox.get("/admin/log"))["sent"]
    assert (logged["bot"], logged["chat"], logged["id"]) == ("avtobus", GROUP_ID, said["id"] + 1)


async def test_anybody_may_join_and_is_known_by_name(sandbox: Sandbox) -> None:
    joined = await sandbox.post("/api/people", {"name": "Глеб"}, 201)
    assert await sandbox.post("/api/people", {"name": "Глеб"}, 201) == joined
    assert (await sandbox.say("Я новый", person="Глеб"))["from"] == joined["id"]
    assert (await sandbox.avtobus.get_chat_member(GROUP_ID, joined["id"])).status == "member"


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"\xff",
        b"[" * 100_000,
        b'{"reply_to": ' + b"1" * 5000 + b"}",
        b'{"chat": "group", "person": "a", "text": "\\ud800"}',
    ],
    ids=["cut off", "no text", "too deep", "too long a number", "half a pair"],
)
async def test_a_body_that_is_no_json_is_refused(untouched: Sandbox, body: bytes) -> None:
    url, headers = f"{untouched.url}/api/messages", {"content-type": "application/json"}
    async with untouched.http.post(url, data=body, headers=headers) as answer:
        assert answer.status == 400


async def test_the_page_is_served_and_asks_for_nothing_outside(untouched: Sandbox) -> None:
    async with untouched.http.get(untouched.url) as answer:
        page, policy = await answer.text(), answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'self'; script-src 'self' 'sha256-")
    assert "unsafe" not in policy
    assert not re.search(r"\s(on\w+|style)=", page)
    imports = json.loads(re.findall(r'type="importmap">(.*?)</script>', page, re.DOTALL)[0])
    wanted = [*re.findall(r'(?:src|href)="(/[^"]+)"', page), *imports["imports"].values()]
    for path in wanted:
        async with untouched.http.get(untouched.url + path) as answer:
            assert answer.status == 200, path
            assert answer.content_type in ("text/css", "text/javascript", "application/javascript")
    for file in OWN_FILES:
        text = file.read_text(encoding="utf-8")
        assert not re.search(r"(https?:)?//[\w-]+\.\w|@import|url\(", text), file


def test_the_page_never_makes_markup_of_a_text() -> None:
    forbidden = (
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|DOMParser|srcdoc"
        r"|dangerouslySetInnerHTML|Function\(|html\(|createContextualFragment"
    )
    for file in OWN_FILES:
        assert not re.search(forbidden, file.read_text(encoding="utf-8")), file


def test_every_module_and_name_that_is_imported_is_there() -> None:
    """A module that is missing, or a misspelt name in it, would leave the page empty."""
    for file in STATIC.glob("*.js"):
        for names, module in re.findall(
            r'import \{([^}]+)\} from "\./(\w+\.js)"', file.read_text(encoding="utf-8")
        ):
            text = (STATIC / module).read_text(encoding="utf-8")
            if "export * from" not in text:
                wanted = {name.strip() for name in names.split(",") if name.strip()}
                given = set(re.findall(r"export (?:async )?(?:const|function) (\w+)", text))
                assert wanted <= given, f"{file.name} imports from {module}"


def test_what_is_vendored_is_what_was_published() -> None:
    vendor = STATIC / "vendor"
    listed = re.findall(r"`(\w+\.mjs)` .*`(\w{64})`", (vendor / "README.md").read_text())
    hashes = {file.name: sha256(file.read_bytes()).hexdigest() for file in vendor.glob("*.mjs")}
    assert dict(listed) == hashes


def test_the_whole_page_is_small() -> None:
    sent = [file for file in STATIC.rglob("*") if file.suffix in (".html", ".css", ".js", ".mjs")]
    assert sum(len(gzip.compress(file.read_bytes())) for file in sent) < 150_000


async def test_the_page_is_told_why_each_bot_spoke_or_kept_quiet(sandbox: Sandbox) -> None:
    said = await sandbox.say("Привет", person="Борис")
    asked = f"/api/why?chat=group&person=Борис&message={said['id']}"
    assert await sandbox.get(asked) == {}
    await sandbox.explain(said["id"], "insanity", draws=[{"prompt_tokens": 3}])
    why = {"reason": "insanity", "turns": [], "draws": [{"prompt_tokens": 3}]}
    assert await sandbox.get(asked) == {"avtobus": why}
