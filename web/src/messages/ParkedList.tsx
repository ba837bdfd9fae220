import { useEffect } from "react";
import { create } from "zustand";

import { rest } from "../app/rest";
import { link } from "../app/route";
import { Badge } from "../design/Badge";

/** A queue where refused messages go. */
export interface Parked {
  node: string;
  port: string;
  queue: string;
  ready: number;
  consumers: number;
  refused_by: string[];
}

export const useParked = create<{ queues: Parked[] | undefined }>(() => ({ queues: undefined }));

const EVERY_MS = 3000;

export async function lookForParked() {
  try {
    useParked.setState({ queues: await rest.get<Parked[]>("api/deadletters") });
  } catch {
    // The next look will tell; a lost connection is shown in the frame.
  }
}

export function usePolledParked() {
  useEffect(() => {
    void lookForParked();
    const timer = setInterval(() => void lookForParked(), EVERY_MS);
    return () => clearInterval(timer);
  }, []);
}

export function ParkedList({ chosen }: { chosen: string | undefined }) {
  const queues = useParked((state) => state.queues);
  if (!queues || queues.length === 0) {
    return <p className="soft messages-none">No connection sends refused messages anywhere: connect the DEADLETTER of a msgflo/RoundRobin.</p>;
  }
  return (
    <ul>
      {queues.map((parked) => (
        <li key={parked.queue}>
          <a
            className="messages-edge"
            href={link("messages", ["deadletters", parked.queue])}
            aria-current={chosen === parked.queue ? "true" : undefined}
          >
            <span>
              <strong>{parked.queue}</strong>
            </span>
            <span className="soft">refused by {parked.refused_by.map((port) => port.split(".").slice(0, -1).join(".")).join(", ")}</span>
            <Badge tone={parked.ready > 0 ? "bad" : "good"}>{parked.ready > 0 ? `${parked.ready} parked` : "none"}</Badge>
          </a>
        </li>
      ))}
    </ul>
  );
}
