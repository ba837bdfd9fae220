import type { ReactNode } from "react";

export interface Column<Row> {
  title: string;
  /** Numbers stand at the right. */
  right?: boolean;
  width?: string;
  cell: (row: Row) => ReactNode;
}

interface Props<Row> {
  /** What the table holds, for screen readers. */
  label: string;
  columns: Column<Row>[];
  rows: Row[];
  id: (row: Row) => string;
  chosen?: string | undefined;
  onChoose?: (row: Row) => void;
}

export function Table<Row>({ label, columns, rows, id, chosen, onChoose }: Props<Row>) {
  return (
    <table className="table" aria-label={label}>
      <thead>
        <tr>
          {columns.map((column) => (
            <th key={column.title} scope="col" className={column.right ? "right" : ""} style={{ width: column.width }}>
              {column.title}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <tr
            key={id(row)}
            className={[onChoose && "clickable", chosen === id(row) && "chosen"].filter(Boolean).join(" ")}
            onClick={onChoose && (() => onChoose(row))}
          >
            {columns.map((column) => (
              <td key={column.title} className={column.right ? "right" : ""}>
                {column.cell(row)}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
