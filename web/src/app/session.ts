// Which server this is, and whether it lets us in. Each view says what it needs; what the server lacks does not show.

import { create } from "zustand";

import type { Me } from "../api";
import { join } from "../protocol/store";
import { rest, RestError } from "./rest";
import { currentSecret, rememberSecret } from "./secret";

export interface Abilities {
  /** `msgflo run`: a network, its messages and components. */
  network: boolean;
  /** A governor: guv's REST interface answers. */
  scaling: boolean;
  /** `guv serve`: applications are kept, added and removed. */
  apps: boolean;
}

export type Session =
  | { state: "connecting" }
  | { state: "unreachable"; reason: string }
  /** A secret is needed; `isWrong` when one was given. */
  | { state: "locked"; isWrong: boolean }
  | { state: "open"; abilities: Abilities };

export const useSession = create<{ session: Session }>(() => ({ session: { state: "connecting" } }));

/** What a path answers: it is there, it is not, or it wants a secret. */
async function probe(path: string): Promise<"there" | "absent" | "locked"> {
  try {
    await rest.get(path);
    return "there";
  } catch (error) {
    if (!(error instanceof RestError) || error.status === 0 || error.status >= 500) throw error;
    if (error.status === 401) return "locked";
    return error.status === 403 ? "there" : "absent";
  }
}

/** How long after a failure the server is asked again, in milliseconds. */
const RETRY_MS = 3000;
let retry: ReturnType<typeof setTimeout> | undefined;

/** Asks the server what it is, and again for as long as it cannot be reached. */
export async function connect() {
  clearTimeout(retry);
  try {
    const [network, scaling] = await Promise.all([probe("api/status"), probe("v1/apps")]);
    if (network === "locked" || (scaling === "locked" && network === "absent")) {
      useSession.setState({ session: { state: "locked", isWrong: currentSecret() !== undefined } });
      return;
    }
    // What the network is comes while the view that shows it is loaded.
    if (network === "there") join();
    const abilities: Abilities = {
      network: network === "there",
      scaling: scaling === "there",
      apps: scaling === "there" && (await rest.get<Me>("v1/me")).keeps_apps,
    };
    if (!abilities.network && !abilities.scaling) {
      throw new RestError(0, "This server is neither msgflo nor guv, or is an old one.");
    }
    useSession.setState({ session: { state: "open", abilities } });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    useSession.setState({ session: { state: "unreachable", reason } });
    clearTimeout(retry);
    retry = setTimeout(() => void connect(), RETRY_MS);
  }
}

export async function signIn(secret: string) {
  rememberSecret(secret);
  await connect();
}

export function signOut() {
  rememberSecret(undefined);
  window.location.reload();
}
