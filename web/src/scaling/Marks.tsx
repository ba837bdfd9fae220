// The operations of a role above its chart of workers: each a mark that tells why.

import { useEffect, useRef, useState } from "react";

import type { Operation } from "../api";
import { Icon } from "../design/Icon";
import { moment } from "./format";
import { AXIS, EDGE } from "./TimeChart";

interface Props {
  operations: Operation[];
  from: number;
  to: number;
  chosen: number | undefined;
  onChoose: (at: number) => void;
}

/** Marks are so wide, in pixels; what would lie closer together becomes one mark. */
const MARK = 28;

export interface Mark {
  /** The newest of those that it stands for. */
  operation: Operation;
  others: number;
  left: number;
}

/** Where the marks stand, from the right, so that the newest operation keeps its own place. Pure. */
export function placed(operations: Operation[], from: number, to: number, width: number): Mark[] {
  const room = Math.max(width - AXIS - EDGE, 1);
  const marks: Mark[] = [];
  for (let index = operations.length - 1; index >= 0; index--) {
    const operation = operations[index] as Operation;
    if (operation.at < from || operation.at > to) continue;
    const left = AXIS + ((operation.at - from) / (to - from)) * room;
    const last = marks.at(-1);
    if (last && last.left - left < MARK) last.others += 1;
    else marks.push({ operation, others: 0, left });
  }
  return marks.reverse();
}

export function said(operation: Operation): string {
  const before = operation.from ?? "?";
  const failed = operation.outcome === "applied" ? "" : operation.outcome === "planned" ? ", planned" : ", failed";
  return `${moment(operation.at)}: ${before} → ${operation.to} workers${failed}`;
}

export function Marks({ operations, from, to, chosen, onChoose }: Props) {
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
