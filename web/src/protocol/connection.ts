// One WebSocket that comes back by itself. Signals are handed on in order and in batches, so that a thousand changes draw once.

import type { Protocol, Signal } from "./types";

/** How long signals are gathered: what somebody waits for, and messages that flow by. */
const BATCH_MS = 16;
const FLOW_MS = 100;
const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 8000;
const ANSWER_MS = 20_000;

/** The server refused a request, and said why. */
export class Refused extends Error {}

interface Waiting {
  resolve: (signal: Signal) => void;
  reject: (error: Error) => void;
  timer: ReturnType<typeof setTimeout>;
  /** Further answers before the last, for `component:list`. */
  until: string | undefined;
}

interface Hooks {
  secret: () => string | undefined;
  /** The socket is open; nothing has been asked. */
  opened: () => void;
  lost: () => void;
  signals: (signals: Signal[]) => void;
}

/** The first is that of the second, and tells what messages say beside their payloads, too. */
const SUBPROTOCOLS = ["msgflo", "noflo"];

export class Connection {
  private socket: WebSocket | undefined;
  private readonly waiting = new Map<number, Waiting>();
  private batch: Signal[] = [];
  private timer: ReturnType<typeof setTimeout> | undefined;
  /** Whether the batch holds nothing but messages that flow. */
  private isPatient = false;
  private next = 1;
  private retry = FIRST_RETRY_MS;
  private closed = false;

  constructor(
    private readonly url: string,
    private readonly hooks: Hooks,
  ) {}

  open() {
    const socket = new WebSocket(this.url, SUBPROTOCOLS);
    this.socket = socket;
    socket.onopen = () => {
      this.retry = FIRST_RETRY_MS;
      this.hooks.opened();
    };
    socket.onmessage = (event: MessageEvent<string>) => {
      const signal = JSON.parse(event.data) as Signal;
      signal.at = Date.now();
      this.batch.push(signal);
      const flows = signal.protocol === "network" && signal.command === "data";
      if (!flows && this.isPatient) clearTimeout(this.timer);
      if (this.timer === undefined || (!flows && this.isPatient)) {
        this.isPatient = flows;
        this.timer = setTimeout(() => this.flush(), flows ? FLOW_MS : BATCH_MS);
      }
    };
    socket.onclose = () => {
      if (this.socket !== socket || this.closed) return;
      this.flush();
      for (const { reject, timer } of this.waiting.values()) {
        clearTimeout(timer);
        reject(new Error("The connection was lost."));
      }
      this.waiting.clear();
      this.hooks.lost();
      setTimeout(() => this.closed || this.open(), this.retry);
      this.retry = Math.min(this.retry * 2, LAST_RETRY_MS);
    };
  }

  close() {
    this.closed = true;
    this.socket?.close();
  }

  /** Asks, and waits for the answer; `until` names the last of several. */
  request(protocol: Protocol, command: string, payload: object, until?: string): Promise<Signal> {
    const id = this.next++;
    return new Promise((resolve, reject) => {
      if (this.socket?.readyState !== WebSocket.OPEN) {
        reject(new Error("There is no connection to the server just now."));
        return;
      }
      const timer = setTimeout(() => {
        this.waiting.delete(id);
        reject(new Error(`The server does not answer ${protocol}:${command}.`));
      }, ANSWER_MS);
      this.waiting.set(id, { resolve, reject, timer, until });
      const secret = this.hooks.secret();
      this.socket.send(JSON.stringify({ protocol, command, payload, requestId: id, ...(secret ? { secret } : {}) }));
    });
  }

  private flush() {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.isPatient = false;
    const batch = this.batch;
    this.batch = [];
    if (batch.length === 0) return;
    this.hooks.signals(batch);
    for (const signal of batch) this.answer(signal);
  }

  private answer(signal: Signal) {
    if (signal.responseTo === undefined) return;
    const waiting = this.waiting.get(signal.responseTo);
    if (!waiting) return;
    const isError = signal.command === "error";
    if (!isError && waiting.until && signal.command !== waiting.until) return;
    this.waiting.delete(signal.responseTo);
    clearTimeout(waiting.timer);
    if (isError) waiting.reject(new Refused(String(signal.payload["message"] ?? "The server refused it.")));
    else waiting.resolve(signal);
  }
}
