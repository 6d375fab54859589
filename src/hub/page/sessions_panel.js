// The panel of sessions: all meshes, each behind its own heading; what each session does, since when, what it waits for.
import { byId, clone, element, excerpt, part, setAttribute, setPart, setText } from "./dom.js";
import { isSession } from "./glance_panel.js";
import { renderKeyed } from "./keyed_list.js";
import { LiveTime, now } from "./live_time.js";
import { resourceName } from "./resource_name.js";

/**
 * @typedef {import("./board.js").Board} Board
 * @typedef {import("./mesh_data.js").MeshData} MeshData
 * @typedef {import("./types.js").Peer} Peer
 */

const ORDER = ["waiting", "busy", "idle"];

export class SessionsPanel {
  #groups = byId("sessions-groups", HTMLDivElement);
  #showAll = byId("sessions-all", HTMLInputElement);

  /** @param {Board} board */
  constructor(board) {
    this.#showAll.addEventListener("change", () => board.schedule("peers"));
  }

  /** @param {Board} board */
  render(board) {
    let count = 0;
    renderKeyed(this.#groups, board.meshes, {
      key: (mesh) => mesh.name,
      create: (mesh) => {
        const title = element("h3", {}, [element("span", { text: mesh.name }), element("small", { text: wall(mesh) })]);
        const list = element("ul", { className: "sessions" });
        list.setAttribute("aria-label", `Sessions of the mesh ${mesh.name}`);
        return element("div", { className: "mesh" }, [title, list]);
      },
      update: (group, mesh) => {
        const peers = mesh.peers.filter((peer) => this.#showAll.checked ? peer.peer !== mesh.you : isSession(mesh, peer));
        count += peers.length;
        const [title, list] = /** @type {[HTMLElement, HTMLElement]} */ (/** @type {unknown} */ ([...group.children]));
        title.hidden = board.meshes.length < 2;
        renderKeyed(list, peers.sort(byUrgency), {
          key: (peer) => peer.peer_id,
          create: () => clone("session"),
          update: (item, peer) => updateSession(item, mesh, peer),
        });
      },
    });
    setText(byId("sessions-count", HTMLSpanElement), count > 0 ? String(count) : "");
    byId("sessions-empty", HTMLParagraphElement).hidden = count > 0 || !board.mesh.isLoaded;
  }
}

/** @param {MeshData} mesh */
function wall(mesh) {
  return mesh.name === "default" ? "no wall" : "behind its own wall";
}

/** @param {Peer} a @param {Peer} b */
function byUrgency(a, b) {
  const rank = (/** @type {Peer} */ peer) => (peer.liveness === "alive" ? ORDER.indexOf(peer.activity ?? "idle") : 9);
  return rank(a) - rank(b) || a.peer.localeCompare(b.peer);
}

/**
 * @param {HTMLElement} item
 * @param {MeshData} mesh
 * @param {Peer} peer
 */
function updateSession(item, mesh, peer) {
  const state = sessionState(peer);
  setAttribute(item, "data-state", state.id);
  const link = part(item, "name", HTMLAnchorElement);
  setText(link, peer.peer);
  link.href = `#peer/${encodeURIComponent(peer.peer)}`;
  setText(part(item, "state"), state.text);
  part(item, "since", LiveTime).since(state.since);
  setPart(item, "branch", peer.git_branch);
  setPart(item, "doing", excerpt(peer.doing ?? peer.current_task ?? peer.summary ?? peer.role));
  const waits = waitsFor(mesh, peer);
  setPart(item, "waits", waits ? `waits for ${waits}` : null);
}

/**
 * Returns what a session does, and since when that is so.
 * @param {Peer} peer
 * @returns {{id: string, text: string, since: string | null}}
 */
export function sessionState(peer) {
  if (peer.liveness !== "alive") return { id: "gone", text: peer.liveness === "dead" ? "gone" : "not seen", since: peer.last_seen_at };
  const since = peer.idle_seconds === null || peer.idle_seconds === undefined
    ? peer.started_at
    : new Date(now() - peer.idle_seconds * 1000).toISOString();
  if (peer.quiet_until) return { id: "quiet", text: "quiet", since };
  switch (peer.activity) {
    case "waiting": return { id: "waiting", text: "in a dialog", since };
    case "busy": return { id: "busy", text: "busy", since };
    case "needs_restart": return { id: "waiting", text: "needs a restart", since };
    default: return { id: "idle", text: peer.askable ? "idle" : "cannot be asked", since };
  }
}

/**
 * Returns for whom or what a session waits, in words.
 * @param {MeshData} mesh
 * @param {Peer} peer
 */
export function waitsFor(mesh, peer) {
  const asked = mesh.questions.filter((one) => one.state === "open" && one.from === peer.peer).map((one) => one.to === mesh.you ? "you" : one.to);
  const queued = mesh.claims.filter((one) => one.queue.some((ticket) => ticket.peer === peer.peer)).map((one) => resourceName(one.resource, mesh));
  return [...new Set([...asked, ...queued])].join(", ");
}
