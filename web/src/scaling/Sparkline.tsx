/** The course of a number, small: the shape matters, the values do not. A gap stays a gap. */
export function Sparkline(props: { label: string; values: (number | null)[]; tone?: "first" | "second" }) {
  const { label, values, tone = "first" } = props;
  const width = 112;
  const height = 26;
  const top = Math.max(1, ...values.map((value) => value ?? 0));
  const x = (index: number) => (values.length < 2 ? width : (index / (values.length - 1)) * width);
  const y = (value: number) => height - 2 - (value / top) * (height - 4);
  let path = "";
  let area = "";
  let begin: number | undefined;
  const close = (last: number) => {
    if (begin !== undefined) area += `L${x(last).toFixed(1)} ${height}L${x(begin).toFixed(1)} ${height}Z`;
    begin = undefined;
  };
  values.forEach((value, index) => {
    if (value === null) {
      close(index - 1);
      return;
    }
    const step = `${begin === undefined ? "M" : "L"}${x(index).toFixed(1)} ${y(value).toFixed(1)}`;
    begin ??= index;
    path += step;
    area += step;
  });
  close(values.length - 1);
  return (
    <svg className={`sparkline ${tone}`} viewBox={`0 0 ${width} ${height}`} role="img" aria-label={label}>
      <path className="sparkline-area" d={area} />
      <path className="sparkline-line" d={path} />
    </svg>
  );
}
