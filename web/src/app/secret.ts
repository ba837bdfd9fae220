// The secret that opens the server. It lives as long as the tab, and never in the address.

const KEY = "msgflo.secret";

/** The secret, if one was given. */
export function currentSecret(): string | undefined {
  return sessionStorage.getItem(KEY) ?? undefined;
}

export function rememberSecret(secret: string | undefined) {
  if (secret) sessionStorage.setItem(KEY, secret);
  else sessionStorage.removeItem(KEY);
}

/**
 * An invitation: the address may carry a secret once, as `#token=…` (which no server sees) or `?token=…`. It is taken out
 * of the address before anything else happens, so that it is neither shown nor kept in the history.
 */
export function takeInvitation() {
  const url = new URL(window.location.href);
  const hash = new URLSearchParams(url.hash.startsWith("#token=") ? url.hash.slice(1) : "");
  const token = hash.get("token") ?? url.searchParams.get("token");
  if (token === null) return;
  rememberSecret(token);
  url.searchParams.delete("token");
  if (hash.has("token")) url.hash = "";
  window.history.replaceState(null, "", url);
}
