// A chart over time: uPlot, with the colours of the tokens and a legend that reads out what is under the pointer.

import "uplot/dist/uPlot.min.css";

import { useEffect, useRef, useState, type ReactNode } from "react";
import uPlot from "uplot";

import { useTheme } from "../app/theme";
import { AXIS, EDGE } from "./place";

export interface Line {
  label: string;
  values: (number | null)[];
  /** A token: `--series-1`. */
  colour: string;
  fill?: boolean;
  dash?: boolean;
  /** A number that holds until it changes. */
  stepped?: boolean;
  /** Fills the space to the line after it. */
  bandToNext?: boolean;
  thin?: boolean;
  /** Leaves it out of the legend. */
  unnamed?: boolean;
}

interface Props {
  title: string;
  /** What the chart shows, in a sentence, for those who do not see it. */
  about: string;
  at: number[];
  from: number;
  to: number;
  lines: Line[];
  format: (value: number | null | undefined) => string;
  /** The values are seconds: lines stand at whole minutes and hours. */
  isTime?: boolean;
  height?: number;
  /** The moment that is looked at: a line from top to bottom. */
  marked?: number | undefined;
  /** Room at the top for what is laid over the chart, in pixels; and that. */
  above?: ReactNode;
  actions?: ReactNode;
}

/** Distances of lines that are easy to read, seconds. */
const SECONDS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21_600, 86_400, 604_800, 6_048_000];

/** Charts of a page move their pointers together. */
const SYNC = "scaling";

function token(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function translucent(colour: string, share: number): string {
  return `color-mix(in srgb, ${colour} ${share}%, transparent)`;
}

export function TimeChart(props: Props) {
  const { title, about, at, from, to, lines, format, isTime, height = 170, marked, above, actions } = props;
  const theme = useTheme();
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(undefined);
  const latest = useRef({ from, to, marked, format });
  latest.current = { from, to, marked, format };
  const [hovered, setHovered] = useState<number | null>(null);
  const shape = lines.map((line) => line.label).join("|");

  useEffect(() => {
    const element = host.current;
    if (!element) return;
    const soft = token("--text-soft");
    const grid = { stroke: token("--line-soft"), width: 1 };
    const font = `11px ${token("--font")}`;
    const bands: uPlot.Band[] = [];
    lines.forEach((line, index) => {
      if (line.bandToNext) bands.push({ series: [index + 1, index + 2], fill: translucent(token(line.colour), 9) });
    });
    const made = new uPlot(
      {
        width: Math.max(element.clientWidth, 120),
        height,
        padding: [8, EDGE, 0, 0],
        legend: { show: false },
        cursor: { sync: { key: SYNC, setSeries: false }, drag: { x: false, y: false }, points: { size: 6 } },
        bands,
        scales: {
          x: { time: true, range: () => [latest.current.from, latest.current.to] },
          y: { range: (_, __, most) => [0, most > 0 ? most * 1.12 : 1] },
        },
        axes: [
          {
            stroke: soft,
            font,
            grid: { show: false },
            ticks: { ...grid, size: 4 },
            size: 26,
            space: 90,
            values: (_, ticks, __, ___, step) => ticks.map((tick) => clock(tick, step)),
          },
          {
            stroke: soft,
            font,
            grid,
            ticks: { show: false },
            size: AXIS,
            gap: 8,
            space: 34,
            ...(isTime ? { incrs: SECONDS } : {}),
            values: (_, ticks) => ticks.map((tick) => latest.current.format(tick)),
          },
        ],
        series: [
          {},
          ...lines.map((line): uPlot.Series => {
            const colour = token(line.colour);
            return {
              label: line.label,
              stroke: colour,
              width: line.thin ? 1 : 1.75,
              spanGaps: false,
              points: { show: false },
              ...(line.fill ? { fill: translucent(colour, 14) } : {}),
              ...(line.dash ? { dash: [5, 4] } : {}),
              ...(line.stepped && uPlot.paths.stepped ? { paths: uPlot.paths.stepped({ align: 1 }) } : {}),
            };
          }),
        ],
        hooks: {
          setCursor: [(chart) => setHovered(chart.cursor.idx ?? null)],
          draw: [
            (chart) => {
              const moment = latest.current.marked;
              if (moment === undefined) return;
              const x = Math.round(chart.valToPos(moment, "x", true)) + 0.5;
              if (x < chart.bbox.left || x > chart.bbox.left + chart.bbox.width) return;
              chart.ctx.save();
              chart.ctx.strokeStyle = token("--text-soft");
              chart.ctx.lineWidth = devicePixelRatio;
              chart.ctx.beginPath();
              chart.ctx.moveTo(x, chart.bbox.top);
              chart.ctx.lineTo(x, chart.bbox.top + chart.bbox.height);
              chart.ctx.stroke();
              chart.ctx.restore();
            },
          ],
        },
      },
      [at, ...lines.map((line) => line.values)] as uPlot.AlignedData,
      element,
    );
    plot.current = made;
    const observer = new ResizeObserver(() => made.setSize({ width: Math.max(element.clientWidth, 120), height }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = undefined;
    };
    // The numbers are brought up to date below.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [theme, shape, height]);

  useEffect(() => {
    plot.current?.setData([at, ...lines.map((line) => line.values)] as uPlot.AlignedData);
  }, [at, lines]);

  useEffect(() => plot.current?.redraw(false), [marked]);

  const shown = hovered ?? lastKnown(lines);
  return (
    <section className="scaling-chart" aria-label={title}>
      <header>
        <h2>{title}</h2>
        <ul className="scaling-legend" aria-hidden="true">
          {lines
            .filter((line) => !line.unnamed)
            .map((line) => (
              <li key={line.label}>
                <i className={line.dash ? "dash" : ""} style={{ borderColor: `var(${line.colour})` }} />
                {line.label} <b className="number">{format(line.values[shown ?? -1])}</b>
              </li>
            ))}
        </ul>
        {actions}
      </header>
      {above}
      <div ref={host} role="img" aria-label={about} style={{ height }} />
    </section>
  );
}

/** Where the newest values are. */
function lastKnown(lines: Line[]): number | null {
  const first = lines[0];
  for (let index = (first?.values.length ?? 0) - 1; index >= 0; index--) {
    if (lines.some((line) => line.values[index] !== null)) return index;
  }
  return null;
}

function clock(seconds: number, step: number): string {
  const date = new Date(seconds * 1000);
  const isMidnight = date.getHours() === 0 && date.getMinutes() === 0;
  if (step >= 86_400 || (isMidnight && step >= 3600)) {
    return date.toLocaleDateString("en-GB", { day: "numeric", month: "short" });
  }
  return date.toLocaleTimeString("en-GB", {
    hour: "2-digit",
    minute: "2-digit",
    ...(step < 60 ? { second: "2-digit" } : {}),
  });
}
