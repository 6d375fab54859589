// The board: the meshes of the person, which of them is in view, and when the panels are drawn again.
import { Actions } from "./actions.js";
import { MeshData } from "./mesh_data.js";
import { needsOf, sortNeeds } from "./needs.js";

const HIDDEN_RENDER_MS = 1000;

/** @typedef {{render: (board: Board) => void}} Panel */

export class Board {
  /** @type {MeshData[]} */
  meshes = [];
  /** @type {MeshData} */
  mesh;
  /** @type {Panel[]} */
  panels = [];
  /** @type {Set<string>} what has changed since the last drawing */
  changed = new Set();
  #scheduled = false;

  /**
   * @param {import("./api.js").Api} api
   * @param {{name: string, path: string}[]} meshes at least one
   */
  constructor(api, meshes) {
    this.api = api;
    this.actions = new Actions(api);
    this.meshes = meshes.map((mesh) => new MeshData(api, mesh, (_, changed) => this.schedule(changed)));
    this.mesh = /** @type {MeshData} */ (this.meshes[0]);
  }

  start() {
    for (const mesh of this.meshes) void mesh.follow(mesh === this.mesh);
    this.schedule("view");
  }

  /** @param {string} name */
  view(name) {
    const mesh = this.meshes.find((one) => one.name === name);
    if (!mesh || mesh === this.mesh) return;
    this.mesh = mesh;
    this.start();
  }

  needs() {
    return sortNeeds(this.meshes.flatMap(needsOf));
  }

  /** Draws the panels soon, also if many things change at once. @param {string} changed */
  schedule(changed) {
    this.changed.add(changed);
    if (this.#scheduled) return;
    this.#scheduled = true;
    const draw = () => {
      this.#scheduled = false;
      for (const panel of this.panels) panel.render(this);
      this.changed.clear();
    };
    // A hidden page gets no frames, but its title still counts what needs the person.
    if (document.hidden) setTimeout(draw, HIDDEN_RENDER_MS);
    else requestAnimationFrame(draw);
  }
}
