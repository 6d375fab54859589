// A session as the client of the TypeScript SDK makes it: it calls every tool, asks one peer, and answers that peer.
//
// usage: client.mjs SDK SERVER OTHER BYSTANDER CALLS
//
// SDK is its folder; SERVER is a program, or "URL KEY" of a hub; BYSTANDER - is nobody; CALLS is a JSON list of further
// calls, each [tool, arguments], made once both have answered; their results are in the report.
import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";

const [sdk, server, other, bystander, calls] = process.argv.slice(2);
const { Client } = await import(`${sdk}/dist/esm/client/index.js`);

async function transport() {
  if (!server.startsWith("http")) {
    const { StdioClientTransport } = await import(`${sdk}/dist/esm/client/stdio.js`);
    return new StdioClientTransport({ command: server, env: process.env });
  }
  const { StreamableHTTPClientTransport } = await import(`${sdk}/dist/esm/client/streamableHttp.js`);
  const [url, key] = server.split(" ");
  return new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers: { Authorization: `Bearer ${key}` } } });
}

setTimeout(() => {
  console.error("client.mjs: out of time");
  process.exit(2);
}, 25_000).unref();

const client = new Client({ name: "test-client", version: "1.0.0" });
await client.connect(await transport());

async function call(name, args = {}, options = {}) {
  const result = await client.callTool({ name, arguments: args }, undefined, options);
  assert.equal(result.content.length, 1);
  return JSON.parse(result.content[0].text);
}

const listed = await client.listTools();
const registered = await call("register", { role: "tester" });
assert.equal((await call("mesh_status")).status, "ok");
const put = await call("state", { action: "set", key: "greeting", value: [null, 1], namespace: "shared" });
assert.deepEqual(put.value, [null, 1]);
const log = await call("events", { types: ["state.*"] });
assert.equal(log.events[0].subject, "greeting");
const kept = await call("remember", { text: "a client nobody here wrote", key: "client" });
const found = await call("recall", { query: "clients nobody wrote" });
assert.equal(found.memories[0].memory_id, kept.memory_id);
assert.equal((await call("forget", { key: "client" })).forgotten, 1);
const refused = await call("ask_peer", { to: "nobody-of-that-name", question: "?" });
assert.equal(refused.error.code, "unknown_peer");
assert.equal((await call("subscribe", { topics: [registered.you.peer] })).topics[0].subscribers[0], registered.you.peer);
const { message_id } = await call("post", { to: `#${registered.you.peer}`, body: "hello" });
assert.equal((await call("list_messages", { filter: "all" })).messages.length, 0);
assert.equal((await call("mark_read", { up_to: message_id })).cursor, message_id);
const { status, claim_id } = await call("claim", { resource: registered.you.peer });
assert.equal(status, "granted");
assert.equal((await call("claims", { resource: registered.you.peer })).claims[0].holders[0].claim_id, claim_id);
assert.equal((await call("release", { claim_id })).was, "held");
const { task } = await call("create_task", { title: `a task of ${registered.you.peer}` });
const { task_id } = task;
assert.equal((await call("update_task", { task_id, status: "in_progress" })).task.assigned_to, registered.you.peer);
assert.equal((await call("list_tasks", { query: task_id })).tasks[0].version, 2);
const bulk = await call("bulk_update_tasks", { updates: [{ task_id, status: "done" }] });
assert.deepEqual([bulk.updated.length, bulk.refused[0].error.code], [0, "conflict"]);
assert.deepEqual((await call("cancel_stale_tasks", { older_than_seconds: 0 })).cancelled, []);
assert.deepEqual(await call("delete_task", { task_id }), { deleted: true });
const isThere = (peer) => peer.peer === other && peer.askable;
while (!(await call("list_peers")).peers.some(isThere)) await pause(20);

async function ask() {
  let asked = await call("ask_peer", { to: other, question: `what is ${other} for?`, timeout_seconds: 20 });
  while (asked.status === "interrupted") {
    asked = await call("await_reply", { question_id: asked.question_id, timeout_seconds: 20 });
  }
  return asked;
}

// Waits for the other one's question and answers it.
async function answer() {
  for (;;) {
    const inbox = await call("poll_inbox");
    for (const question of inbox.questions) {
      assert.deepEqual([question.from, question.question], [other, `what is ${inbox.you} for?`]);
      const reply = { question_id: question.question_id, answer: `${inbox.you} is a test` };
      const replied = await call("reply_to_peer", reply);
      assert.deepEqual([replied.status, replied.to], ["answered", other]);
      return;
    }
    await pause(20);
  }
}

const [asked] = await Promise.all([ask(), answer()]);
assert.deepEqual([asked.status, asked.answer], ["answered", `${other} is a test`]);
assert.equal((await call("await_reply", { question_id: asked.question_id })).answer, asked.answer);

// Asks a peer that never reads its inbox, and cancels when the question is stored.
if (bystander !== "-") {
  const giveUp = new AbortController();
  const messages = [];
  const options = {
    signal: giveUp.signal,
    onprogress: (progress) => {
      messages.push(progress.message);
      giveUp.abort("not needed any more");
    },
  };
  await assert.rejects(call("ask_peer", { to: bystander, question: "are you there?" }, options));
  assert.ok(messages[0].startsWith(`${bystander}: stored`), messages[0]);
  const waiting = async () => (await call("list_peers")).peers.find((peer) => peer.peer === bystander).questions_waiting;
  while ((await waiting()) > 0) await pause(20);
}

const results = [];
for (const [tool, args] of JSON.parse(calls)) results.push(await call(tool, args));
console.log(JSON.stringify({ you: registered.you, tools: listed.tools.map((tool) => tool.name), results }));
await client.close();
