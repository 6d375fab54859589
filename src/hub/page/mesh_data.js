// What the page knows of one mesh. An event marks what it concerns as outdated; each resource is then read again, at most
// every 200 ms. The event log is followed live for the mesh in view, and asked every few seconds for the others.
import { EventStream } from "./event_stream.js";

/**
 * @typedef {import("./types.js").Peer} Peer
 * @typedef {import("./types.js").Task} Task
 * @typedef {import("./types.js").MeshEvent} MeshEvent
 * @typedef {"peers" | "questions" | "inbox" | "messages" | "claims" | "tasks" | "status"} Resource
 */

const REFETCH_MS = 200;
const RETRY_MS = 3000;
/** What a session does and how old it is changes without an event. */
const PEERS_MS = 4000;
const OTHER_MESH_MS = 3000;
const EVENTS_MAX = 5000;
const PAGE = 500;
/** @type {Resource[]} */
const ALL = ["peers", "questions", "inbox", "messages", "claims", "tasks", "status"];

/** What is outdated after an event, by the first word of its type. @type {Record<string, Resource[]>} */
const CONCERNED = {
  peer: ["peers", "questions", "claims"], question: ["questions", "peers"], message: ["messages"],
  claim: ["claims", "peers"], task: ["tasks", "peers"], mesh: ["status", "peers", "questions"],
};

export class MeshData {
  you = "";
  /** @type {Peer[]} */
  peers = [];
  /** @type {import("./types.js").Question[]} */
  questions = [];
  /** @type {import("./types.js").Message[]} */
  messages = [];
  /** @type {import("./types.js").Claim[]} */
  claims = [];
  /** @type {Task[]} */
  tasks = [];
  /** @type {Record<string, number>} */
  taskCounts = {};
  /** @type {any} */
  status = {};
  /** @type {MeshEvent[]} oldest first */
  events = [];
  hasOlderEvents = true;
  isLoaded = false;
  /** @type {import("./event_stream.js").StreamState} */
  stream = { live: false, retryAt: null };
  #api;
  #onChange;
  /** @type {Map<Resource, {dirty: boolean, running: boolean, timer: number, lastAt: number}>} */
  #reads = new Map();
  /** @type {EventStream | null} */
  #stream = null;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #poll;
  #isViewed = false;
  /** @type {{questions: import("./types.js").Question[], tasks: Task[]}} */
  #older = { questions: [], tasks: [] };
  #loadingEvents = false;

  /**
   * @param {import("./api.js").Api} api
   * @param {{name: string, path: string}} mesh
   * @param {(mesh: MeshData, changed: string) => void} onChange
   */
  constructor(api, { name, path }, onChange) {
    this.#api = api;
    this.name = name;
    this.path = path;
    this.#onChange = onChange;
    for (const resource of ALL) this.#reads.set(resource, { dirty: false, running: false, timer: 0, lastAt: 0 });
    setInterval(() => {
      if (!document.hidden) this.markOutdated("peers");
    }, PEERS_MS);
  }

  /** Returns the path of a route of this mesh. @param {string} path */
  route(path) {
    return `/${encodeURIComponent(this.name)}/v1/${path}`;
  }

  /** Loads everything, then follows the event log, live or by asking. @param {boolean} isViewed */
  async follow(isViewed) {
    if (this.#poll !== undefined && isViewed === this.#isViewed) return;
    this.#isViewed = isViewed;
    clearInterval(this.#poll);
    this.#stream?.stop();
    this.#stream = null;
    if (!this.isLoaded) {
      for (const resource of ALL) this.markOutdated(resource);
    }
    this.#poll = setInterval(() => void this.#ask(), OTHER_MESH_MS);
    await this.#ask();
  }

  retry() {
    this.#stream?.retry();
  }

  /**
   * Reads a question or a task that is older than the lists, and keeps it in them.
   * @param {string} kind
   * @param {string} id
   */
  async loadOlder(kind, id) {
    if (!/^[0-9A-Z]{26}$/.test(id)) return;
    if (kind === "question") {
      const found = await this.#api.read(this.route(`questions/${id}`));
      this.#older.questions.push({ ...found, from: found.asked_by, to: found.from });
      this.questions = withOlder(this.questions, this.#older.questions, "question_id");
    } else if (kind === "task") {
      this.#older.tasks.push((await this.#api.read(this.route(`tasks/${id}`))).task);
      this.tasks = withOlder(this.tasks, this.#older.tasks, "task_id");
    }
    this.#onChange(this, `${kind}s`);
  }

  /** Reads an open question again that no list has. @param {import("./types.js").Question} question */
  async #reread(question) {
    const found = await this.#api.read(this.route(`questions/${question.question_id}`)).catch(() => null);
    if (!found || found.state === "open") return;
    Object.assign(question, { state: found.state, answer: found.answer, answered_at: found.answered_at, by: found.by });
    this.#onChange(this, "questions");
  }

  /** Reads a resource again soon. @param {Resource} resource */
  markOutdated(resource) {
    const read = this.#reads.get(resource);
    if (!read) return;
    read.dirty = true;
    if (read.running || read.timer) return;
    read.timer = window.setTimeout(() => void this.#refetch(resource), read.lastAt + REFETCH_MS - Date.now());
  }

  /** @param {Resource} resource */
  async #refetch(resource) {
    const read = this.#reads.get(resource);
    if (!read) return;
    Object.assign(read, { timer: 0, dirty: false, running: true, lastAt: Date.now() });
    try {
      await this.#load(resource);
      this.isLoaded = true;
      this.#onChange(this, resource);
    } catch {
      // The hub is away or refuses; the stream says so. What is shown stays until it can be read again.
      read.dirty = true;
      read.lastAt = Date.now() + RETRY_MS;
    }
    read.running = false;
    if (read.dirty) this.markOutdated(resource);
  }

  /** @param {Resource} resource */
  async #load(resource) {
    const read = (/** @type {string} */ path) => this.#api.read(this.route(path));
    switch (resource) {
      case "peers": {
        const { you, peers } = await read("peers?include_stale=true");
        Object.assign(this, { you, peers });
        break;
      }
      case "questions": {
        const { questions } = await read("questions?scope=all&limit=200");
        this.questions = withOlder(questions, this.#older.questions, "question_id");
        this.#older.questions.filter((one) => one.state === "open").forEach((one) => void this.#reread(one));
        // To look into the inbox tells the askers that their question is seen.
        if (!document.hidden && this.questions.some((one) => this.#isUnseen(one))) this.markOutdated("inbox");
        break;
      }
      case "inbox":
        if (!document.hidden) await read("inbox");
        break;
      case "messages":
        this.messages = (await read("board/messages?limit=200")).messages;
        break;
      case "claims":
        this.claims = (await read("board/claims")).claims;
        break;
      case "tasks": {
        const { tasks, counts } = await read("board/tasks");
        this.tasks = withOlder(tasks, this.#older.tasks, "task_id");
        this.taskCounts = counts ?? {};
        break;
      }
      case "status":
        this.status = await read("board/status");
    }
  }

  /** @param {import("./types.js").Question} question */
  #isUnseen(question) {
    return question.to === this.you && question.state === "open" && !question.delivery?.shown_at;
  }

  /** Reads new events once; behind them begins the live stream of the mesh in view. */
  async #ask() {
    const last = this.events.at(-1)?.seq;
    try {
      const query = last === undefined ? `limit=${PAGE}` : `limit=${PAGE}&after=${last}`;
      const { events, next } = await this.#api.read(this.route(`events?${query}`));
      for (const event of events) this.#addEvent(event);
      this.#onChange(this, "events");
      if (this.#isViewed && !this.#stream) this.#startStream(next ?? last ?? 0);
    } catch {
      this.#setStream({ live: false, retryAt: Date.now() + OTHER_MESH_MS });
    }
  }

  /** @param {number} last */
  #startStream(last) {
    clearInterval(this.#poll);
    this.#poll = 0;
    this.#stream = new EventStream(this.#api, this.route("events"), last, {
      onEvent: (event) => {
        this.#addEvent(event);
        this.#onChange(this, "events");
      },
      onGap: () => this.reload(),
      onState: (state) => {
        // While nobody listened, what changes without an event changed too.
        if (state.live && !this.stream.live) ALL.forEach((resource) => this.markOutdated(resource));
        this.#setStream(state);
      },
    });
  }

  reload() {
    ALL.forEach((resource) => this.markOutdated(resource));
  }

  /** @param {import("./event_stream.js").StreamState} state */
  #setStream(state) {
    this.stream = state;
    this.#onChange(this, "stream");
  }

  /** @param {MeshEvent} event */
  #addEvent(event) {
    const last = this.events.at(-1)?.seq ?? -1;
    if (event.seq <= last) return;
    this.events.push(event);
    if (this.events.length > EVENTS_MAX) this.events.splice(0, this.events.length - EVENTS_MAX);
    if (!this.isLoaded) return;
    for (const resource of CONCERNED[event.type.split(".")[0] ?? ""] ?? []) this.markOutdated(resource);
    if (event.type === "memory.changed") this.#onChange(this, "memories");
  }

  /** Loads the events before the oldest that is known. */
  async loadOlderEvents() {
    const oldest = this.events[0]?.seq;
    if (this.#loadingEvents || !this.hasOlderEvents || oldest === undefined || this.events.length >= EVENTS_MAX) return;
    this.#loadingEvents = true;
    try {
      const after = Math.max(0, oldest - PAGE - 1);
      const { events } = await this.#api.read(this.route(`events?limit=${PAGE}&after=${after}`));
      const older = events.filter((/** @type {MeshEvent} */ event) => event.seq < (this.events[0]?.seq ?? 0));
      this.hasOlderEvents = older.length > 0 && after > 0;
      this.events.unshift(...older);
      this.#onChange(this, "events");
    } catch {
      // The next scroll tries again.
    }
    this.#loadingEvents = false;
  }
}

/**
 * Returns a list with what was read by its id and is not in the list.
 * @template T
 * @param {T[]} list
 * @param {T[]} older
 * @param {keyof T} key
 */
function withOlder(list, older, key) {
  const ids = new Set(list.map((one) => one[key]));
  return [...list, ...older.filter((one) => !ids.has(one[key]))];
}
