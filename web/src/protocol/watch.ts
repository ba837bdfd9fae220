// Views say which edges they look at; the server is asked for all of them together.

import { useEffect } from "react";

import { useNetwork, watch } from "./store";
import { forget } from "./stream";
import { edgeKey, type End } from "./types";

interface Edge {
  src: End;
  tgt: End;
}

const looking = new Map<symbol, Edge[]>();

function tell() {
  const edges = new Map<string, Edge>();
  for (const list of looking.values()) for (const { src, tgt } of list) edges.set(edgeKey(src, tgt), { src, tgt });
  void watch([...edges.values()]);
}

/** Sees the messages of these edges as long as the component is shown. Pass the same array while it means the same. */
export function useWatch(edges: Edge[]) {
  const isLive = useNetwork(({ link }) => link === "live");
  useEffect(() => {
    if (!isLive) return;
    const me = Symbol("view");
    looking.set(me, edges);
    forget();
    tell();
    return () => {
      looking.delete(me);
      tell();
    };
  }, [edges, isLive]);
}
