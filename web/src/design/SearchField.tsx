import type { KeyboardEvent } from "react";

import { Icon } from "./Icon";

interface Props {
  /** What is searched for, as in "Search nodes". */
  label: string;
  value: string;
  onChange: (value: string) => void;
  onKeyDown?: (event: KeyboardEvent<HTMLInputElement>) => void;
  className?: string;
  autoFocus?: boolean;
}

/** A field that narrows a list as one writes. */
export function SearchField({ label, value, onChange, onKeyDown, className, autoFocus }: Props) {
  return (
    <label className={className ? `search-field ${className}` : "search-field"}>
      <Icon name="search" />
      <span className="unseen">{label}</span>
      <input
        className="input"
        type="search"
        placeholder={label}
        autoFocus={autoFocus}
        value={value}
        onChange={(event) => onChange(event.target.value)}
        onKeyDown={onKeyDown}
      />
    </label>
  );
}
