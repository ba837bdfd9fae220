// How far back charts look.

export interface Range {
  /** In the address. */
  key: string;
  title: string;
  seconds: number;
}

export const RANGES: Range[] = [
  { key: "10m", title: "10 min", seconds: 600 },
  { key: "1h", title: "1 h", seconds: 3600 },
  { key: "6h", title: "6 h", seconds: 6 * 3600 },
  { key: "24h", title: "24 h", seconds: 24 * 3600 },
  { key: "7d", title: "7 d", seconds: 7 * 24 * 3600 },
  { key: "30d", title: "30 d", seconds: 30 * 24 * 3600 },
];

const DEFAULT = RANGES[1] as Range;

export function rangeOf(key: string | null): Range {
  return RANGES.find((range) => range.key === key) ?? DEFAULT;
}
