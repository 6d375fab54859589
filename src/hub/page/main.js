// Starts the page: signs in, builds the panels, follows the address.
import { Api, ApiError } from "./api.js";
import { Board } from "./board.js";
import { ClaimsPanel } from "./claims_panel.js";
import { Compose } from "./compose.js";
import { ConversationPanel } from "./conversation_panel.js";
import { Detail, isDetail } from "./detail.js";
import { byId } from "./dom.js";
import { EventsPanel } from "./events_panel.js";
import { GlancePanel } from "./glance_panel.js";
import { focusPanel, listenToKeys } from "./keys.js";
import { MemoryPanel } from "./memory_panel.js";
import { NeedsPanel } from "./needs_panel.js";
import { SessionsPanel } from "./sessions_panel.js";
import { signIn, signOut } from "./sign_in.js";
import { TasksPanel } from "./tasks_panel.js";

const RETRY_MS = 2000;

async function start() {
  const key = await signIn().catch(() => null);
  if (key === null) return showSignedOut();
  const api = new Api(key, () => {
    signOut();
    showSignedOut();
  });
  const meshes = await readMeshes(api);
  if (meshes === null) return;
  const board = new Board(api, meshes);
  const detail = new Detail(board);
  const compose = new Compose(board);
  board.panels = [
    new GlancePanel(board), new NeedsPanel(), new SessionsPanel(board), new ConversationPanel(), new ClaimsPanel(),
    new TasksPanel(board), new MemoryPanel(board), new EventsPanel(board), detail,
  ];
  listenToKeys(compose);
  byId("sign-out", HTMLButtonElement).addEventListener("click", () => {
    api.send("POST", "/v1/board/sign-out", {}).catch(() => undefined).finally(() => api.refuse());
  });
  byId("signed-in", HTMLDivElement).hidden = false;
  board.start();
  const follow = () => followAddress(board, detail, compose);
  window.addEventListener("hashchange", follow);
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    for (const mesh of board.meshes) mesh.reload();
    board.schedule("view");
  });
  follow();
}

/**
 * Reads which meshes there are. Waits for a hub that is away; returns `null` if the key is refused.
 * @param {Api} api
 * @returns {Promise<{name: string, path: string}[] | null>}
 */
async function readMeshes(api) {
  for (;;) {
    try {
      return (await api.read("/v1/meshes")).meshes;
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) return null;
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

/**
 * Shows what the address names: `#question/01K…`, `#task/…`, `#peer/…`, `#mesh/…`, or a panel.
 * @param {Board} board
 * @param {Detail} detail
 * @param {Compose} compose
 */
function followAddress(board, detail, compose) {
  const [kind = "", ...rest] = location.hash.slice(1).split("/");
  let id = rest.join("/");
  try {
    id = decodeURIComponent(id);
  } catch {
    // The address is not one of this page; its text is the id.
  }
  if (isDetail(kind)) return detail.show(kind, id);
  detail.close();
  if (kind === "mesh") board.view(id);
  else if (kind === "ask" || kind === "post") compose.show(kind, id);
  else if (kind === "claims" || kind === "claim") focusPanel("claims");
  else return;
  history.replaceState(null, "", location.pathname);
}

function showSignedOut() {
  byId("signed-in", HTMLDivElement).hidden = true;
  byId("signed-out", HTMLElement).hidden = false;
  for (const dialog of document.querySelectorAll("dialog")) dialog.close();
}

void start();
