// Numbers, times and money in words that fit their place.

/** At most three significant digits, and none for nothing: 0.42, 3.1, 25, 1,204. */
export function number(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  const digits = size >= 100 || Number.isInteger(value) ? 0 : size >= 10 ? 1 : 2;
  return value.toLocaleString("en", { maximumFractionDigits: digits });
}

/** A duration in its largest fitting units: 0.4 s, 12 s, 3 min, 2 h 5 min, 3 d. */
export function duration(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return "–";
  if (seconds < 10) return `${Number(seconds.toFixed(1))} s`;
  const whole = Math.round(seconds);
  if (whole < 100) return `${whole} s`;
  const minutes = Math.round(whole / 60);
  if (minutes < 100) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  const left = minutes % 60;
  if (hours < 48) return left && hours < 10 ? `${hours} h ${left} min` : `${hours} h`;
  return `${Math.round(hours / 24)} d`;
}

/** Jobs per time, in the unit in which the number is easy to say. */
export function rate(perSecond: number | null | undefined): string {
  if (perSecond === null || perSecond === undefined) return "–";
  if (perSecond === 0) return "0/s";
  if (perSecond >= 1) return `${number(perSecond)}/s`;
  if (perSecond * 60 >= 1) return `${number(perSecond * 60)}/min`;
  return `${number(perSecond * 3600)}/h`;
}

/** Workers times hours; a short while in minutes. */
export function workerTime(hours: number): string {
  return hours >= 1 || hours === 0 ? `${number(hours)} h` : `${number(hours * 60)} min`;
}

export function percent(share: number | null | undefined): string {
  if (share === null || share === undefined) return "–";
  const value = share * 100;
  // 99.96 % is not all.
  const digits = value > 99 && value < 100 ? 2 : value >= 99.995 || value < 10 ? 0 : 1;
  const shown = Math.min(Number(value.toFixed(digits)), value < 100 ? 99.99 : 100);
  return `${shown.toLocaleString("en", { maximumFractionDigits: 2 })} %`;
}

export function money(amount: number | null | undefined): string {
  if (amount === null || amount === undefined) return "–";
  const digits = amount >= 100 ? 0 : amount !== 0 && amount < 0.1 ? 4 : 2;
  return `$${amount.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits })}`;
}

/** A moment as a clock shows it, with the day when it is not today. */
export function moment(seconds: number, { withSeconds = true } = {}): string {
  const date = new Date(seconds * 1000);
  const time = date.toLocaleTimeString("en-GB", {
    hour: "2-digit",
    minute: "2-digit",
    ...(withSeconds ? { second: "2-digit" } : {}),
  });
  if (date.toDateString() === new Date().toDateString()) return time;
  const day = date.toLocaleDateString("en-GB", { day: "numeric", month: "short" });
  return `${day}, ${time}`;
}

/** How many of them: 1 worker, 2 workers. */
export function count(value: number, noun: string): string {
  return `${number(value)} ${noun}${value === 1 ? "" : "s"}`;
}
