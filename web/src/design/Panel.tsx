import type { ReactNode } from "react";

interface Props {
  title?: ReactNode;
  /** At the right of the title. */
  actions?: ReactNode;
  /** Without padding, for tables and charts. */
  flush?: boolean;
  children: ReactNode;
  className?: string;
}

/** A framed part of a page. */
export function Panel({ title, actions, flush, children, className }: Props) {
  return (
    <section className={className ? `panel ${className}` : "panel"}>
      {(title || actions) && (
        <header>
          {title && <h2>{title}</h2>}
          <span className="spacer" />
          {actions}
        </header>
      )}
      <div className={flush ? "panel-body flush" : "panel-body"}>{children}</div>
    </section>
  );
}
