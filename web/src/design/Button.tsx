import type { ButtonHTMLAttributes } from "react";

import { Icon, type IconName } from "./Icon";

interface Props extends ButtonHTMLAttributes<HTMLButtonElement> {
  /** One primary button a view at most. */
  look?: "plain" | "primary" | "danger" | "quiet";
  small?: boolean;
  icon?: IconName;
  /** What it does. With `icon` and no children it is the button's name and its tip. */
  label?: string;
}

export function Button({ look = "plain", small, icon, label, children, className, ...rest }: Props) {
  const classes = ["button", look, small && "small", !children && "icon-only", className];
  return (
    <button
      type="button"
      className={classes.filter(Boolean).join(" ")}
      aria-label={children ? undefined : label}
      title={label}
      {...rest}
    >
      {icon && <Icon name={icon} />}
      {children}
    </button>
  );
}
