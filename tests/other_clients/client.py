"""A session as the official Python client makes it: it calls every tool, asks one peer, and answers that peer.

usage: client.py MODE SERVER OTHER BYSTANDER CALLS

MODE is auto or legacy; SERVER is a program, or "URL KEY" of a hub; BYSTANDER - is nobody; CALLS is a JSON list of
further calls, each [tool, arguments], made once both have answered; their results are in the report.
"""

import json
import os
import sys

import anyio
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client

MODE, SERVER, OTHER, BYSTANDER, CALLS = sys.argv[1:]


async def call(client, tool, progress=None, **arguments):
    result = await client.call_tool(tool, arguments, progress_callback=progress)
    [block] = result.content
    return json.loads(block.text)


class Notices:
    """The messages that the progress callback received."""

    def __init__(self):
        self.messages = []
        self.came = anyio.Event()

    async def __call__(self, progress, total, message):
        self.messages.append(message)
        self.came.set()


async def ask(client, answers):
    asked = await call(client, "ask_peer", to=OTHER, question=f"what is {OTHER} for?", timeout_seconds=20)
    while asked["status"] == "interrupted":
        asked = await call(client, "await_reply", question_id=asked["question_id"], timeout_seconds=20)
    answers.append(asked)


async def answer(client):
    """Waits for the other one's question and answers it."""
    while True:
        inbox = await call(client, "poll_inbox")
        for question in inbox["questions"]:
            reply = {"question_id": question["question_id"], "answer": f"{inbox['you']} is a test"}
            assert question["from"] == OTHER and question["question"] == f"what is {inbox['you']} for?", question
            replied = await call(client, "reply_to_peer", **reply)
            assert replied["status"] == "answered" and replied["to"] == OTHER, replied
            return
        await anyio.sleep(0.02)


async def cancelled(client):
    """Asks a peer that never reads its inbox, and cancels when the question is stored."""
    notices = Notices()
    async with anyio.create_task_group() as asking:
        asking.start_soon(lambda: call(client, "ask_peer", notices, to=BYSTANDER, question="are you there?"))
        await notices.came.wait()
        asking.cancel_scope.cancel()
    assert notices.messages[0].startswith(f"{BYSTANDER}: stored"), notices.messages
    while True:
        peers = (await call(client, "list_peers"))["peers"]
        if [peer["questions_waiting"] for peer in peers if peer["peer"] == BYSTANDER] == [0]:
            return
        await anyio.sleep(0.02)


def transport():
    if not SERVER.startswith("http"):
        return StdioServerParameters(command=SERVER, env=dict(os.environ))
    url, key = SERVER.split(" ")
    with_key = create_mcp_http_client(headers={"Authorization": f"Bearer {key}"})
    return streamable_http_client(url, http_client=with_key)


async def main():
    async with Client(transport(), mode=MODE) as client:
        tools = [tool.name for tool in (await client.list_tools()).tools]
        registered = await call(client, "register", role="tester")
        status = await call(client, "mesh_status")
        assert status["status"] == "ok", status
        put = await call(client, "state", action="set", key="greeting", value={"from": "python"}, namespace="shared")
        assert put["value"] == {"from": "python"} and put["version"] >= 1, put
        log = await call(client, "events", types=["state.*"])
        assert log["events"][0]["subject"] == "greeting" and log["next"] >= log["events"][-1]["seq"], log
        kept = await call(client, "remember", text="a client nobody here wrote", key="client")
        found = await call(client, "recall", query="clients nobody wrote")
        assert found["memories"][0]["memory_id"] == kept["memory_id"], found
        forgotten = await call(client, "forget", key="client")
        assert forgotten["forgotten"] == 1, forgotten
        refused = await call(client, "ask_peer", to="nobody-of-that-name", question="?")
        assert refused["error"]["code"] == "unknown_peer", refused
        own = registered["you"]["peer"]
        topics = (await call(client, "subscribe", topics=[own]))["topics"]
        assert topics == [{"topic": own, "subscribers": [own]}], topics
        posted = await call(client, "post", to="#" + own, body="hello")
        listed = await call(client, "list_messages", filter="all")
        assert listed["messages"] == [], listed
        read = await call(client, "mark_read", up_to=posted["message_id"])
        assert read == {"cursor": posted["message_id"], "remaining": 0}, read
        claimed = await call(client, "claim", resource=own)
        assert claimed["status"] == "granted", claimed
        lines = (await call(client, "claims", resource=own))["claims"]
        assert lines[0]["holders"][0]["claim_id"] == claimed["claim_id"], lines
        released = await call(client, "release", claim_id=claimed["claim_id"])
        assert released["was"] == "held", released
        made = await call(client, "create_task", title="a task of " + own)
        task = made["task"]["task_id"]
        assert made["created"] and made["task"]["status"] == "todo", made
        begun = await call(client, "update_task", task_id=task, status="in_progress", expected_version=1)
        assert begun["task"]["assigned_to"] == own, begun
        found = (await call(client, "list_tasks", query=task))["tasks"]
        assert [one["version"] for one in found] == [2], found
        bulk = await call(client, "bulk_update_tasks", updates=[{"task_id": task, "status": "done"}])
        assert bulk["updated"] == [] and bulk["refused"][0]["error"]["code"] == "conflict", bulk
        assert (await call(client, "cancel_stale_tasks", older_than_seconds=0))["cancelled"] == []
        assert (await call(client, "delete_task", task_id=task)) == {"deleted": True}
        while OTHER not in [peer["peer"] for peer in (await call(client, "list_peers"))["peers"] if peer["askable"]]:
            await anyio.sleep(0.02)
        answers = []
        async with anyio.create_task_group() as exchange:
            exchange.start_soon(ask, client, answers)
            exchange.start_soon(answer, client)
        [asked] = answers
        assert asked["status"] == "answered" and asked["answer"] == f"{OTHER} is a test", asked
        again = await call(client, "await_reply", question_id=asked["question_id"])
        assert again["answer"] == asked["answer"], again
        if BYSTANDER != "-":
            await cancelled(client)
        report = {
            "you": registered["you"],
            "spoke": client.protocol_version,
            "tools": tools,
            "results": [await call(client, tool, **arguments) for tool, arguments in json.loads(CALLS)],
        }
        print(json.dumps(report))


async def in_time():
    with anyio.fail_after(25):
        await main()


anyio.run(in_time)
