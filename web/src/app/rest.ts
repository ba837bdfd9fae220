// The REST interface, asked as any client asks it.

import { currentSecret } from "./secret";

/** Why a request had no good answer. `status` is 0 when there was none at all. */
export class RestError extends Error {
  constructor(
    readonly status: number,
    message: string,
    /** The answer, when it was JSON: guv's refusals carry `diagnostics` for example. */
    readonly body?: unknown,
  ) {
    super(message);
  }
}

async function request<T>(method: string, path: string, body?: unknown): Promise<T> {
  const headers: Record<string, string> = { accept: "application/json" };
  const secret = currentSecret();
  if (secret) headers["authorization"] = `Bearer ${secret}`;
  if (body !== undefined) headers["content-type"] = "application/json";
  let response: Response;
  try {
    const sent = body === undefined ? {} : { body: JSON.stringify(body) };
    response = await fetch(path, { method, headers, cache: "no-store", ...sent });
  } catch {
    throw new RestError(0, "The server does not answer. Is it still running?");
  }
  const text = await response.text();
  const isJson = (response.headers.get("content-type") ?? "").includes("json");
  const value: unknown = isJson && text ? JSON.parse(text) : text;
  if (response.ok) return value as T;
  const said = isJson && typeof value === "object" && value !== null && "message" in value ? value.message : text;
  throw new RestError(response.status, String(said || response.statusText).trim(), value);
}

/** Paths are relative to the page: `api/status`, `v1/apps`. */
export const rest = {
  get: <T>(path: string) => request<T>("GET", path),
  post: <T>(path: string, body?: unknown) => request<T>("POST", path, body ?? {}),
  put: <T>(path: string, body: unknown) => request<T>("PUT", path, body),
  delete: <T>(path: string) => request<T>("DELETE", path),
};
