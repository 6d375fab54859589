// A broker as several programs of this kind have one: one process, HTTP on loopback, SQLite in WAL mode. `cargo bench -- broker`
// runs it with Bun, and its clients post the same messages as those of claude-mesh.
import { Database } from "bun:sqlite";

const database = new Database(process.argv[2]);
database.run("PRAGMA journal_mode = WAL");
database.run("CREATE TABLE peers (id TEXT PRIMARY KEY)");
database.run(
  "CREATE TABLE messages (id INTEGER PRIMARY KEY AUTOINCREMENT, from_id TEXT NOT NULL, to_id TEXT NOT NULL, text TEXT NOT NULL, sent_at TEXT NOT NULL, delivered INTEGER NOT NULL DEFAULT 0)",
);
const addPeer = database.prepare("INSERT INTO peers VALUES (?)");
for (let number = 0; number < 32; number++) addPeer.run(`p${number}`);
const findPeer = database.prepare("SELECT id FROM peers WHERE id = ?");
const addMessage = database.prepare(
  "INSERT INTO messages (from_id, to_id, text, sent_at) VALUES (?, ?, ?, ?)",
);

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  async fetch(request) {
    const { from_id, to_id, text } = await request.json();
    if (!findPeer.get(to_id)) return Response.json({ error: "unknown peer" }, { status: 404 });
    const { lastInsertRowid } = addMessage.run(from_id, to_id, text, new Date().toISOString());
    return Response.json({ id: lastInsertRowid });
  },
});
console.log(server.port);
