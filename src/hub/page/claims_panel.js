// The panel of claims: who holds what, for how long still, and who waits for it.
import { button, byId, clone, element, part, setAttribute, setPart, setText } from "./dom.js";
import { renderKeyed } from "./keyed_list.js";
import { LiveTime } from "./live_time.js";
import { ask } from "./prompt.js";
import { resourceName } from "./resource_name.js";

/**
 * @typedef {import("./board.js").Board} Board
 * @typedef {import("./types.js").Claim} Claim
 * @typedef {import("./types.js").Holder} Holder
 */

const SHOWN_MAX = 200;

export class ClaimsPanel {
  #list = byId("claims-list", HTMLUListElement);

  /** @param {Board} board */
  render(board) {
    const claims = board.mesh.claims.filter((claim) => claim.holders.length + claim.queue.length > 0);
    setText(byId("claims-count", HTMLSpanElement), claims.length > 0 ? String(claims.length) : "");
    byId("claims-empty", HTMLParagraphElement).hidden = claims.length > 0 || !board.mesh.isLoaded;
    const byQueue = (/** @type {Claim} */ a, /** @type {Claim} */ b) => b.queue.length - a.queue.length || a.resource.localeCompare(b.resource);
    renderKeyed(this.#list, claims.sort(byQueue).slice(0, SHOWN_MAX), {
      key: (claim) => claim.resource,
      create: () => clone("claim"),
      update: (item, claim) => this.#update(board, item, claim),
    });
  }

  /**
   * @param {Board} board
   * @param {HTMLElement} item
   * @param {Claim} claim
   */
  #update(board, item, claim) {
    setText(part(item, "resource"), resourceName(claim.resource, board.mesh));
    part(item, "resource").title = claim.resource;
    renderKeyed(part(item, "holders"), claim.holders, {
      key: (holder) => holder.peer,
      create: (holder) => {
        const row = clone("holder");
        const release = button("Release", () => void this.#release(board, claim.resource, holder.peer));
        release.setAttribute("aria-label", `Release ${claim.resource}, held by ${holder.peer}`);
        row.append(release);
        return row;
      },
      update: (row, holder) => {
        setText(part(row, "peer"), holder.peer);
        setPart(row, "mode", holder.mode === "shared" ? "shared" : null);
        setPart(row, "note", holder.note);
        part(row, "left", LiveTime).until(holder.lease_expires_at);
        setAttribute(/** @type {Element} */ (row.lastElementChild), "hidden", holder.claim_id ? null : "");
      },
    });
    renderKeyed(part(item, "queue"), claim.queue, {
      key: (ticket) => `${ticket.peer}/${ticket.claimed_at}`,
      create: (ticket) => {
        const since = new LiveTime();
        since.since(ticket.claimed_at);
        return element("li", {}, [element("span"), " ", since]);
      },
      update: (row, ticket) => setText(/** @type {Element} */ (row.firstElementChild), `${ticket.queue_position}. ${ticket.peer}`),
    });
    part(item, "queue").hidden = claim.queue.length === 0;
  }

  /**
   * @param {Board} board
   * @param {string} resource
   * @param {string} peer
   */
  async #release(board, resource, peer) {
    const { mesh } = board;
    const holder = mesh.claims.find((one) => one.resource === resource)?.holders.find((one) => one.peer === peer);
    if (!holder?.claim_id) return;
    const text = `${peer} may still work on it; the next in the queue gets it at once.`;
    if ((await ask({ title: `Release ${resource}`, text, confirm: "Release" })) === null) return;
    await board.actions.release(mesh, holder.claim_id);
  }
}
