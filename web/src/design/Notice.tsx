import type { ReactNode } from "react";

import { Icon, type IconName } from "./Icon";

interface Props {
  title: string;
  /** What it means, and what to do next. */
  children?: ReactNode;
  /** Buttons. */
  actions?: ReactNode;
  icon?: IconName;
}

/** Nothing is here, and that is no fault. */
export function EmptyState({ title, children, actions, icon = "box" }: Props) {
  return (
    <div className="notice" role="status">
      <Icon name={icon} />
      <h2>{title}</h2>
      {children && <p>{children}</p>}
      {actions && <div className="notice-actions">{actions}</div>}
    </div>
  );
}

/** Something failed: what, and what to do next. */
export function ErrorState({ title, children, actions, icon = "warning" }: Props) {
  return (
    <div className="notice bad" role="alert">
      <Icon name={icon} />
      <h2>{title}</h2>
      {children && <p>{children}</p>}
      {actions && <div className="notice-actions">{actions}</div>}
    </div>
  );
}

/** It is on its way. Shown only where it takes a moment. */
export function Loading({ children = "Loading…" }: { children?: ReactNode }) {
  return (
    <div className="notice" role="status">
      <p>{children}</p>
    </div>
  );
}
