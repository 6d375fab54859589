// What a person does from the board: each function is one request, and says in a notice if the hub refuses it.
import { ApiError } from "./api.js";
import { notify } from "./notice.js";

/**
 * @typedef {import("./mesh_data.js").MeshData} MeshData
 * @typedef {import("./mesh_data.js").Resource} Resource
 * @typedef {import("./types.js").Task} Task
 */

export class Actions {
  #api;

  /** @param {import("./api.js").Api} api */
  constructor(api) {
    this.#api = api;
  }

  /**
   * Sends a write. Returns its result, or `null` after a notice why it was refused.
   * @param {MeshData} mesh
   * @param {{method: string, path: string, body?: object, outdates: Resource[], done?: string}} write
   */
  async #write(mesh, { method, path, body, outdates, done }) {
    try {
      const result = await this.#api.send(method, mesh.route(path), body ?? (method === "POST" ? {} : undefined));
      if (done) notify(done);
      return result ?? {};
    } catch (error) {
      if (error instanceof ApiError) notify(`Not done: ${error.message}`, { detail: error.hint, isError: true });
      else notify("Not done: the hub cannot be reached.", { isError: true });
      return null;
    } finally {
      outdates.forEach((resource) => mesh.markOutdated(resource));
    }
  }

  /**
   * @param {MeshData} mesh
   * @param {string} id
   * @param {{answer: string, decline?: boolean}} body
   */
  answer(mesh, id, body) {
    const done = body.decline ? "Declined." : "Answered.";
    return this.#write(mesh, { method: "POST", path: `questions/${id}/answer`, body, outdates: ["questions"], done });
  }

  /** @param {MeshData} mesh @param {{to: string, question: string, context?: string}} body */
  ask(mesh, body) {
    const done = `Asked ${body.to}. The answer appears in the conversation.`;
    return this.#write(mesh, { method: "POST", path: "questions?wait=0", body, outdates: ["questions"], done });
  }

  /** @param {MeshData} mesh @param {{to: string, body: string, subject?: string, type?: string}} body */
  post(mesh, body) {
    return this.#write(mesh, { method: "POST", path: "messages", body, outdates: ["messages"], done: `Posted to ${body.to}.` });
  }

  /**
   * Moves a task to another status; a reject needs a reason.
   * @param {MeshData} mesh
   * @param {Task} task
   * @param {{status: import("./types.js").TaskStatus, reason?: string}} change
   */
  moveTask(mesh, task, change) {
    return this.#write(mesh, {
      method: "PATCH", path: `tasks/${task.task_id}`, body: { ...change, expected_version: task.version }, outdates: ["tasks"],
    });
  }

  /** @param {MeshData} mesh @param {string} peer @param {number | null} seconds `null`: until it is ended */
  quiet(mesh, peer, seconds) {
    const body = seconds === null ? {} : { duration_seconds: seconds };
    const path = `peers/${encodeURIComponent(peer)}/quiet`;
    return this.#write(mesh, { method: "POST", path, body, outdates: ["peers", "questions"], done: `${peer} is quiet.` });
  }

  /** @param {MeshData} mesh @param {string} peer */
  endQuiet(mesh, peer) {
    const path = `peers/${encodeURIComponent(peer)}/quiet`;
    return this.#write(mesh, { method: "DELETE", path, outdates: ["peers", "questions"], done: `${peer} is not quiet any more.` });
  }

  /** @param {MeshData} mesh @param {number | null} seconds `null`: until it is ended */
  pause(mesh, seconds) {
    const body = seconds === null ? {} : { duration_seconds: seconds };
    return this.#write(mesh, { method: "POST", path: "pause", body, outdates: ["status", "peers"], done: "Paused: no session is woken." });
  }

  /** @param {MeshData} mesh */
  endPause(mesh) {
    return this.#write(mesh, { method: "DELETE", path: "pause", outdates: ["status", "peers", "questions"], done: "The pause is over." });
  }

  /** @param {MeshData} mesh @param {string} claimId */
  release(mesh, claimId) {
    return this.#write(mesh, { method: "DELETE", path: `claims/${claimId}`, outdates: ["claims", "peers"], done: "Released." });
  }

  /** @param {MeshData} mesh @param {string} memoryId */
  forgetMemory(mesh, memoryId) {
    return this.#write(mesh, { method: "DELETE", path: `memories/${memoryId}`, outdates: [], done: "Forgotten." });
  }

  /** @param {MeshData} mesh @param {string} peer */
  forgetPeer(mesh, peer) {
    const path = `peers/${encodeURIComponent(peer)}`;
    return this.#write(mesh, { method: "DELETE", path, outdates: ["peers", "questions"], done: `${peer} is forgotten.` });
  }
}
