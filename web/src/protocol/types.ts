// What goes over the wire, as far as we use it: https://flowbased.github.io/fbp-protocol/

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type Metadata = Record<string, Json>;

export interface End {
  node: string;
  port: string;
  index?: number;
}

export interface Port {
  id: string;
  type: string;
  description?: string;
  values?: Json[];
  default?: Json;
  schema?: string;
  required?: boolean;
  addressable?: boolean;
}

export interface Component {
  name: string;
  description?: string;
  icon?: string;
  inPorts: Port[];
  outPorts: Port[];
}

export interface Source {
  name: string;
  library?: string;
  language: string;
  code: string;
}

export interface Runtime {
  type: string;
  version: string;
  label?: string;
  graph?: string;
  namespace?: string;
  capabilities: string[];
  allCapabilities?: string[];
}

export type Protocol = "runtime" | "graph" | "component" | "network" | "trace";

/** What a server says. */
export interface Signal {
  protocol: Protocol;
  command: string;
  payload: Record<string, unknown>;
  responseTo?: number;
  /** When it came, in milliseconds; set here. */
  at?: number;
}

/** A change of the graph: a command of the protocol `graph`, without the graph's id. */
export interface Edit {
  command: string;
  payload: Record<string, unknown>;
}

/** Ports differ by more than case: `out` and `OUT` are one. */
export function samePort(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}

export function endKey({ node, port, index }: End): string {
  return `${node}\u0000${port.toLowerCase()}${index === undefined ? "" : `[${index}]`}`;
}

export function edgeKey(src: End, tgt: End): string {
  return `${endKey(src)}\u0001${endKey(tgt)}`;
}

/** An end without what is undefined or not part of the protocol. */
export function endOf({ node, port, index }: End): End {
  return index === undefined ? { node, port } : { node, port, index };
}
