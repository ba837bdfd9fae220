// Where the marks of operations stand, and what they are called. Pure.

import type { Operation } from "../api";
import { moment } from "./format";

/** The room that a chart's axis of values takes at the left, and its edge at the right, in pixels. */
export const AXIS = 58;
export const EDGE = 14;

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
