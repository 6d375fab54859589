// Signs this tab in: exchanges the one-time token of the link for a key, which only this tab keeps.

const KEY = "claude-mesh-key";

/** Returns the key of this tab, or `null` if the person has to open a new link. */
export async function signIn() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (token === null) return sessionStorage.getItem(KEY);
  // The token must not stay in the address bar or the history, also if it is refused.
  history.replaceState(null, "", location.pathname);
  const response = await fetch("/v1/board/sign-in", {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ token }),
    credentials: "omit",
  });
  if (!response.ok) return sessionStorage.getItem(KEY);
  const { key } = await response.json();
  sessionStorage.setItem(KEY, key);
  return key;
}

export function signOut() {
  sessionStorage.removeItem(KEY);
}
