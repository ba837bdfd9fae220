// The operations of a role above its chart of workers: each a mark that tells why.

import { useEffect, useRef, useState } from "react";

import type { Operation } from "../api";
import { Icon } from "../design/Icon";
import { AXIS, placed, said } from "./place";

/** The room that the note on older ones takes, in pixels. */
const NOTE = 290;

interface Props {
  operations: Operation[];
  /** Whether there are older ones in this time, which are not among them. */
  hasMore: boolean;
  from: number;
  to: number;
  chosen: number | undefined;
  onChoose: (at: number) => void;
}

export function Marks({ operations, hasMore, from, to, chosen, onChoose }: Props) {
  const strip = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const element = strip.current;
    if (!element) return;
    const observer = new ResizeObserver(() => setWidth(element.clientWidth));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  const marks = width > 0 ? placed(operations, from, to, width) : [];
  return (
    <div ref={strip} className="scaling-marks" role="group" aria-label="Operations">
      {hasMore && width > 0 && (marks[0]?.left ?? width) > AXIS + NOTE && (
        <span className="scaling-older" style={{ left: AXIS }}>
          {operations.length} changes are marked; there are older ones
        </span>
      )}
      {marks.map(({ operation, others, left }) => {
        const direction = operation.to > (operation.from ?? 0) ? "up" : "down";
        const name = others > 0 ? `${said(operation)}, and ${others} before` : said(operation);
        const tone = operation.outcome === "applied" ? direction : operation.outcome === "planned" ? "planned" : "failed";
        return (
          <button
            key={operation.at}
            type="button"
            className={`scaling-mark ${tone}`}
            style={{ left }}
            aria-label={name}
            title={name}
            aria-pressed={chosen === operation.at}
            onClick={() => onChoose(operation.at)}
          >
            <Icon name={direction} />
          </button>
        );
      })}
    </div>
  );
}
